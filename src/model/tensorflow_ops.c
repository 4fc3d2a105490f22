#include "model/tensorflow.h"

#define FILES   "reads files"
#define WRITES  "writes or deletes files"
#define PYTHON  "runs Python code"
#define NATIVE  "runs machine code"
#define NETWORK "talks to other computers"

/* Operators of TensorFlow itself. What every checkpoint has (SaveV2, RestoreV2, MergeV2Checkpoints) is not listed. */
static const struct {
        const char *name, *why;
} harmful[] = {
        {"ReadFile", FILES},
        {"WholeFileReader", FILES},
        {"WholeFileReaderV2", FILES},
        {"TextLineReader", FILES},
        {"TextLineReaderV2", FILES},
        {"FixedLengthRecordReader", FILES},
        {"FixedLengthRecordReaderV2", FILES},
        {"TFRecordReader", FILES},
        {"TFRecordReaderV2", FILES},
        {"LMDBReader", FILES},
        {"MatchingFiles", "lists files"},
        {"MatchingFilesDataset", "lists files"},
        {"TextLineDataset", FILES},
        {"TextLineDatasetV2", FILES},
        {"TFRecordDataset", FILES},
        {"TFRecordDatasetV2", FILES},
        {"FixedLengthRecordDataset", FILES},
        {"FixedLengthRecordDatasetV2", FILES},
        {"ExperimentalCSVDataset", FILES},
        {"CSVDataset", FILES},
        {"SqlDataset", FILES},
        {"LMDBDataset", FILES},
        {"ImmutableConst", FILES},
        {"LoadDataset", FILES},
        {"WriteFile", WRITES},
        {"SaveDataset", WRITES},
        {"SaveDatasetV2", WRITES},
        {"CacheDataset", WRITES},
        {"CacheDatasetV2", WRITES},
        {"SnapshotDataset", WRITES},
        {"SnapshotDatasetV2", WRITES},
        {"DatasetToTFRecord", WRITES},
        {"CreateSummaryFileWriter", WRITES},
        {"CreateSummaryDbWriter", WRITES},
        {"PrintV2", "can write files"},
        {"DebugIdentity", WRITES},
        {"DebugIdentityV2", WRITES},
        {"DebugIdentityV3", WRITES},
        {"DebugNumericSummary", WRITES},
        {"DebugNumericSummaryV2", WRITES},
        {"PyFunc", PYTHON},
        {"PyFuncStateless", PYTHON},
        {"EagerPyFunc", PYTHON},
        {"GeneratorDataset", PYTHON},
        {"LoadLibrary", NATIVE},
        {"XlaCustomCall", NATIVE},
        {"XlaCustomCallV2", NATIVE},
        {"TRTEngineOp", NATIVE},
        {"RemoteCall", NETWORK},
        {"RegisterDataset", NETWORK},
        {"RegisterDatasetV2", NETWORK},
        {"DataServiceDataset", NETWORK},
        {"DataServiceDatasetV2", NETWORK},
};

/* Words in the names of operators that somebody made for what they say. */
static const char *const suspicious[] = {"shell",   "exec",       "system", "popen",
                                         "command", "subprocess", "pickle"};

static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool holds_word(struct view name, const char *word) {
        size_t n = strlen(word);

        for (size_t i = 0; i + n <= name.n; i++) {
                size_t k = 0;

                while (k < n && lower(name.p[i + k]) == word[k])
                        k++;
                if (k == n)
                        return true;
        }
        return false;
}

const char *tensorflow_operator_harm(struct view name) {
        for (size_t i = 0; i < ARRAY_SIZE(harmful); i++)
                if (view_eq_str(name, harmful[i].name))
                        return harmful[i].why;
        if (view_find_char(name, '>') != SIZE_MAX)
                return "comes from outside of TensorFlow: machine code";
        for (size_t i = 0; i < ARRAY_SIZE(suspicious); i++)
                if (holds_word(name, suspicious[i]))
                        return "TensorFlow itself does not have: machine code, by its name to run commands";
        return NULL;
}
