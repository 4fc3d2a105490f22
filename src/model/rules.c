#include "model/rules.h"

/* What to do, said once. */
#define GET_AGAIN "Download the file again from its publisher; if it is refused again, don't use it."
#define GET_AGAIN_ALL                                                                                        \
        "Download the whole folder again from its publisher; if it is refused again, don't use it."
#define TAKE_OUT                                                                                             \
        "Take the file out of the folder if the model does not need it; otherwise don't use the folder."
#define DONT_USE     "Don't use this file. Tell whoever published it."
#define OTHER_FORMAT "Look for the same model as GGUF or safetensors."
#define CONVERT      "Convert the model again with a current converter, or get it from its publisher."
#define LOOK_CLOSER                                                                                          \
        "Compare the file with another copy from its publisher (securectl compare A B); if nobody can "      \
        "explain it, "                                                                                       \
        "don't use it."
#define TEMPLATE_BAD "Don't use this file as it is: its chat template does more than lay out a conversation."

#define REFUSE(id, stage, title, meaning, action)                                                            \
        { id, stage, FINDING_REJECT, title, meaning, action }
#define WARN(id, stage, title, meaning, action)                                                              \
        { id, stage, FINDING_WARNING, title, meaning, action }
#define MENTION(id, stage, title, meaning, action)                                                           \
        { id, stage, FINDING_INFO, title, meaning, action }

static const struct model_rule_text rules[MODEL_RULE_MAX] = {
        [RULE_KIND_REFUSED] = REFUSE("KIND-001", 2, "not an accepted model format",
                                     "Only GGUF and safetensors are accepted: both are plain data. What the "
                                     "file really is was found from its "
                                     "content, not from its name.",
                                     OTHER_FORMAT),
        [RULE_KIND_NAME] = REFUSE(
                "KIND-002", 2, "the name says one thing, the content another",
                "A file that calls itself something else than it is may be opened by the wrong program.",
                DONT_USE),
        [RULE_KIND_POLYGLOT] = REFUSE("KIND-003", 2, "the file can be read as two formats",
                                      "The same bytes are a model for one program and an archive, document "
                                      "or disk image for another; what one "
                                      "checks is not what the other opens.",
                                      DONT_USE),
        [RULE_KIND_EMPTY] = REFUSE("KIND-004", 2, "the file is empty", "There is nothing in it.", GET_AGAIN),

        [RULE_GGUF_MAGIC] = REFUSE("GGUF-G1", 2, "not the GGUF signature",
                                   "A GGUF file begins with the four letters GGUF. Older and byte-swapped "
                                   "relatives are read differently by "
                                   "different programs.",
                                   CONVERT),
        [RULE_GGUF_VERSION] = REFUSE(
                "GGUF-G2", 2, "unsupported GGUF version",
                "Only little-endian versions 2 and 3 are defined; programs guess at anything else.", CONVERT),
        [RULE_GGUF_COUNTS] = REFUSE("GGUF-G3", 2, "impossible number of entries",
                                    "The file announces more entries than fit into it. Such counts have been "
                                    "used to overflow memory.",
                                    DONT_USE),
        [RULE_GGUF_KEY] = REFUSE("GGUF-G4", 2, "bad or repeated metadata key",
                                 "Keys are short lower-case names, each used once. A repeated key is read "
                                 "differently by different programs.",
                                 DONT_USE),
        [RULE_GGUF_TYPE] = REFUSE("GGUF-G5", 2, "bad metadata value type",
                                  "A value has a type that doesn't exist, that its key must not have, or a "
                                  "truth value that is neither 0 nor 1.",
                                  CONVERT),
        [RULE_GGUF_ARRAY] = REFUSE("GGUF-G6", 2, "bad metadata list",
                                   "A list is nested or announces more elements than fit into the file.",
                                   DONT_USE),
        [RULE_GGUF_STRING] = REFUSE("GGUF-G7", 2, "bad text",
                                    "A text is longer than the file, too long, not UTF-8, or holds a NUL "
                                    "character that hides what follows it.",
                                    DONT_USE),
        [RULE_GGUF_ALIGNMENT] = REFUSE("GGUF-G8", 2, "bad alignment",
                                       "general.alignment must be a 32-bit power of two between 8 and "
                                       "65,536. Others make readers divide by zero or "
                                       "place weights wrongly.",
                                       DONT_USE),
        [RULE_GGUF_NAME] = REFUSE("GGUF-G9", 2, "bad or repeated tensor name",
                                  "A tensor's name has 1 to 63 bytes of text and is used once.", DONT_USE),
        [RULE_GGUF_DIMENSIONS] = REFUSE("GGUF-G10", 2, "bad tensor shape",
                                        "A tensor has 1 to 4 dimensions of sensible size. Products that "
                                        "overflow hide huge tensors behind small ones.",
                                        DONT_USE),
        [RULE_GGUF_TENSOR_TYPE] = REFUSE("GGUF-G11", 2, "bad tensor type",
                                         "The tensor's number format is unknown or was withdrawn, or its "
                                         "rows don't fill whole blocks.",
                                         CONVERT),
        [RULE_GGUF_OFFSET] = REFUSE("GGUF-G12", 2, "tensor in the wrong place",
                                    "Tensors follow each other without gaps or overlaps. Anything else hides "
                                    "bytes or shares them.",
                                    DONT_USE),
        [RULE_GGUF_PADDING] = REFUSE(
                "GGUF-G13", 2, "hidden bytes between tensors",
                "The gaps that only align tensors must be zero; something else was put there.", DONT_USE),
        [RULE_GGUF_END] = REFUSE("GGUF-G14", 2, "the file doesn't end where its table says",
                                 "Bytes are missing (an interrupted download) or something was appended.",
                                 GET_AGAIN),
        [RULE_GGUF_SPLIT] = REFUSE(
                "GGUF-G15", 2, "not all parts of a split model, or not its own",
                "A model in several files is taken as a whole only: parts could be swapped one by one. "
                "Names, part "
                "numbers and the count of tensors must agree, and no part may be missing or left over.",
                "Put all parts (NAME-00001-of-0000N.gguf and on), and only them, into one folder and import "
                "that, or merge "
                "them into one file (llama-gguf-split --merge)."),
        [RULE_GGUF_VOCABULARY] = REFUSE("GGUF-G16", 2, "inconsistent vocabulary",
                                        "Token lists of different length, token numbers out of range and "
                                        "malformed byte tokens have been used to "
                                        "write outside of memory.",
                                        DONT_USE),
        [RULE_GGUF_TEMPLATE] = REFUSE("GGUF-G17", 2, "the chat template is not a text",
                                      "A chat template must be one piece of clean UTF-8 text, so that what "
                                      "was checked is what is run.",
                                      DONT_USE),

        [RULE_ST_LENGTH] = REFUSE(
                "SAFETENSORS-S1", 2, "bad header length",
                "The first eight bytes give the header's length; it must fit into the file and into 100 MB.",
                GET_AGAIN),
        [RULE_ST_BRACE] = REFUSE("SAFETENSORS-S2", 2, "bytes around the header",
                                 "The header begins with a brace and is followed by spaces only; programs "
                                 "disagree about anything else.",
                                 DONT_USE),
        [RULE_ST_JSON] = REFUSE("SAFETENSORS-S3", 2, "the header is not strict JSON",
                                "What is not exactly JSON is read differently by different programs, or can "
                                "hide a second header.",
                                DONT_USE),
        [RULE_ST_DUPLICATE] = REFUSE("SAFETENSORS-S4", 2, "a name is used twice",
                                     "Some programs use the first entry, others the last: the checked tensor "
                                     "is not the loaded one.",
                                     DONT_USE),
        [RULE_ST_METADATA] = REFUSE("SAFETENSORS-S5", 2, "bad metadata",
                                    "__metadata__ holds texts by name and nothing else.", CONVERT),
        [RULE_ST_ENTRY] = REFUSE("SAFETENSORS-S6", 2, "bad tensor entry",
                                 "An entry has exactly dtype, shape and data_offsets.", CONVERT),
        [RULE_ST_NUMBER] = REFUSE("SAFETENSORS-S7", 2, "bad number",
                                  "Sizes are plain whole numbers below 2^53. Negative, broken or huge ones "
                                  "wrap around in some programs.",
                                  DONT_USE),
        [RULE_ST_DTYPE] = REFUSE("SAFETENSORS-S8", 2, "unknown number format",
                                 "The tensor's dtype is not one that the format defines.", CONVERT),
        [RULE_ST_SIZE] = REFUSE(
                "SAFETENSORS-S9", 2, "shape and size disagree",
                "The bytes of a tensor must be exactly what its shape and number format need.", DONT_USE),
        [RULE_ST_OFFSETS] = REFUSE("SAFETENSORS-S10", 2, "gaps, overlaps or a tail",
                                   "Tensors cover the file exactly, without holes, overlaps, missing bytes "
                                   "or bytes behind them.",
                                   GET_AGAIN),
        [RULE_ST_NAME] = REFUSE(
                "SAFETENSORS-S11", 2, "bad tensor name or rank",
                "Names have 1 to 4,096 bytes without control characters or '..'; at most 16 dimensions.",
                DONT_USE),
        [RULE_ST_PICKLE] = REFUSE(
                "SAFETENSORS-S12", 2, "also a runnable pickle",
                "The first bytes are chosen so that Python can run the same file as a program.", DONT_USE),
        [RULE_ST_INDEX] = REFUSE(
                "SAFETENSORS-S13", 2, "the index and the files of a model in parts disagree",
                "The index says which tensor lies in which file and how many bytes there are in "
                "all. A part that was swapped, left out or added shows here.",
                GET_AGAIN_ALL),

        [RULE_TEMPLATE_SYNTAX] = REFUSE(
                "TEMPLATE-001", 5, "the chat template can't be understood",
                "It doesn't follow the template language; what can't be read can't be vouched for.",
                TEMPLATE_BAD),
        [RULE_TEMPLATE_STATEMENT] = REFUSE("TEMPLATE-002", 5, "forbidden statement in the chat template",
                                           "Statements that load other templates or call back into them have "
                                           "no place in laying out a conversation.",
                                           TEMPLATE_BAD),
        [RULE_TEMPLATE_UNDERSCORE] = REFUSE("TEMPLATE-003", 5, "internal name in the chat template",
                                            "Names that begin with an underscore are the way from a template "
                                            "into Python's internals, and from there to "
                                            "running programs.",
                                            TEMPLATE_BAD),
        [RULE_TEMPLATE_FILTER] = REFUSE("TEMPLATE-004", 5, "filter or test not on the list",
                                        "Only the filters and tests that real chat templates need are "
                                        "allowed; some of the others reach any attribute "
                                        "of any object.",
                                        TEMPLATE_BAD),
        [RULE_TEMPLATE_NAME] = REFUSE(
                "TEMPLATE-005", 5, "function, method or attribute not on the list",
                "Only the functions, methods and message fields that real chat templates use are allowed.",
                TEMPLATE_BAD),
        [RULE_TEMPLATE_BUILT] = REFUSE("TEMPLATE-006", 5, "a name put together from pieces",
                                       "The template assembles an internal name from harmless-looking parts, "
                                       "which is how checks are evaded.",
                                       TEMPLATE_BAD),
        [RULE_TEMPLATE_LIMIT] = REFUSE(
                "TEMPLATE-007", 5, "the chat template is too large or too deep",
                "No real template comes near the limits; huge ones are made to slow down or evade a check.",
                TEMPLATE_BAD),
        [RULE_TEMPLATE_CONDITIONAL] = MENTION(
                "TEMPLATE-008", 5, "text that depends on what you write",
                "The template adds a fixed text only when a message contains certain words. Such a text can "
                "poison answers; "
                "read it.",
                "Read the quoted text and decide whether you want it in your conversations."),

        [RULE_WEIGHTS_NON_FINITE] = REFUSE("WEIGHTS-001", 5, "numbers that are not numbers",
                                           "Weights or block scales are NaN or infinite: the model is "
                                           "damaged or was tampered with, and its answers can "
                                           "be anything.",
                                           GET_AGAIN),
        [RULE_WEIGHTS_OUTLIER] = WARN("WEIGHTS-002", 5, "a weight far beyond all others",
                                      "One number of a tensor is so large, measured by the spread of the "
                                      "others, that it decides every "
                                      "answer. Training does not make such numbers; a damaged disk, or "
                                      "somebody who wants the model to "
                                      "fail or to react to a trigger, does.",
                                      LOOK_CLOSER),
        [RULE_WEIGHTS_ENTROPY] = WARN("WEIGHTS-003", 5, "weights that look like compressed or encrypted data",
                                      "The bytes of trained floating-point weights repeat often enough to be "
                                      "told from noise: their "
                                      "exponents are alike. Where they don't, something else may have been "
                                      "put in place of weights.",
                                      LOOK_CLOSER),
        [RULE_WEIGHTS_CONSTANT] = WARN("WEIGHTS-004", 5, "a large tensor without content",
                                       "All of its numbers are the same, so it knows nothing. The model was "
                                       "not trained, was cut down, or was damaged.",
                                       LOOK_CLOSER),
        [RULE_WEIGHTS_REPEATED] = WARN("WEIGHTS-005", 5, "weights that repeat themselves",
                                       "Long stretches of a tensor are exact copies of what stands before "
                                       "them. Trained weights never are; filler is.",
                                       LOOK_CLOSER),
        [RULE_WEIGHTS_SATURATED] = WARN(
                "WEIGHTS-006", 5, "codes at the end of their range",
                "Most quantised weights of a tensor have the smallest or largest value that can be written. "
                "The conversion went wrong, or the bytes are no weights.",
                CONVERT),
        [RULE_WEIGHTS_HIDDEN] = WARN("WEIGHTS-007", 5, "a text hidden in the lowest bits of weights",
                                     "The last bits of a number hardly change what a model says, so other "
                                     "data can be hidden there. "
                                     "In this tensor they follow a pattern that text has and weights don't "
                                     "have. Well encrypted data "
                                     "can't be told from weights in this way.",
                                     DONT_USE),
        [RULE_WEIGHTS_MIXED] = WARN(
                "WEIGHTS-008", 5, "bits set where the rest of the tensor has none",
                "The tensor was converted from a shorter number format, which leaves the last bits of every "
                "number zero. In some places they are not: something was written there afterwards.",
                LOOK_CLOSER),
        [RULE_WEIGHTS_METADATA] = WARN("WEIGHTS-009", 5, "the description does not fit the weights",
                                       "The number of layers, heads or tokens that the file announces is not "
                                       "the one that its tensors "
                                       "have. Programs trust one or the other.",
                                       CONVERT),

        [RULE_PICKLE_DANGEROUS] = REFUSE("PICKLE-001", 2, "the pickle imports something that can do harm",
                                         "Loading a pickle imports names and calls them. This one is known "
                                         "to run programs or code, to touch files or the network, or to "
                                         "reach something that does.",
                                         DONT_USE),
        [RULE_PICKLE_UNLISTED] = REFUSE("PICKLE-002", 2, "the pickle imports a name that nobody vouches for",
                                        "Plain tensors need a handful of names, which are listed here; "
                                        "anything else may run code when it is imported or called.",
                                        OTHER_FORMAT),
        [RULE_PICKLE_UNNAMED] = REFUSE(
                "PICKLE-003", 2, "the pickle imports something without saying what",
                "The name is computed while the file is loaded, or it is a number that "
                "only the loading program can resolve: a way around checks.",
                DONT_USE),
        [RULE_PICKLE_CALL] = REFUSE(
                "PICKLE-004", 2, "the pickle calls something in an unusual way",
                "It calls what another call returned, changes a class or module, or uses a "
                "harmless name as it is never used for tensors.",
                DONT_USE),
        [RULE_PICKLE_BROKEN] = REFUSE("PICKLE-005", 2, "the pickle can't be decoded",
                                      "From the given place on the bytes are not what Python's own writer "
                                      "produces. What stands before that place runs all the same.",
                                      DONT_USE),
        [RULE_PICKLE_AFTER_STOP] = REFUSE("PICKLE-006", 2, "bytes behind the end of the pickle",
                                          "A program that loads only the first pickle never sees the rest; "
                                          "another one loads it, too.",
                                          OTHER_FORMAT),
        [RULE_PICKLE_LIMIT] = REFUSE("PICKLE-007", 2, "the pickle is too large or too deep to follow",
                                     "Beyond fixed limits it is no longer followed, so that a hostile file "
                                     "can't exhaust the computer; what was not followed is not vouched for.",
                                     OTHER_FORMAT),
        [RULE_PICKLE_HARMLESS] = MENTION("PICKLE-008", 2, "harmless names in the pickle",
                                         "These names rebuild plain tensors. The file is refused because of "
                                         "its format, not because of them.",
                                         OTHER_FORMAT),
        [RULE_PICKLE_OUTSIDE] = MENTION("PICKLE-009", 2, "the pickle asks the loading program for objects",
                                        "Some of its objects (weights, as a rule) are not in the pickle; the "
                                        "loading program has to hand them over, and decides what they are.",
                                        OTHER_FORMAT),

        [RULE_PICKLE_STORAGES] = MENTION(
                "PICKLE-010", 2, "a PyTorch checkpoint in its old form",
                "Several pickles stand in a row, and the numbers of the tensors behind them.", OTHER_FORMAT),

        [RULE_ZIP_AGREE] = REFUSE(
                "ZIP-001", 2, "the archive's two tables disagree",
                "An archive describes each member twice: in front of it and in the directory at the "
                "end. Programs that read one see something else than those that read the other.",
                DONT_USE),
        [RULE_ZIP_DUPLICATE] = REFUSE(
                "ZIP-002", 2, "two members with one name",
                "Some programs take the first, others the last: what was checked is not what "
                "is loaded.",
                DONT_USE),
        [RULE_ZIP_NAME] = REFUSE(
                "ZIP-003", 2, "a member's name leads out of the archive",
                "Absolute names, '..', backslashes, control characters and links can write or read "
                "elsewhere on the computer when the archive is unpacked.",
                DONT_USE),
        [RULE_ZIP_STRUCTURE] = REFUSE(
                "ZIP-004", 2, "the archive's parts don't follow each other",
                "Members, directory and end follow each other without gaps, overlaps or bytes "
                "in between. Anything else hides content or is damage.",
                DONT_USE),
        [RULE_ZIP_CLOSED] = REFUSE(
                "ZIP-005", 2, "a member that isn't looked into",
                "It is compressed or encrypted, so what it would do when it is loaded is not told.",
                OTHER_FORMAT),
        [RULE_ZIP_LIMIT] = REFUSE("ZIP-006", 2, "the archive is too large to follow",
                                  "It has more members or longer names than any model needs.", OTHER_FORMAT),
        [RULE_ZIP_HOLDS] = MENTION("ZIP-007", 2, "what the archive holds",
                                   "The members by their kinds, for whoever wants to know what was refused.",
                                   OTHER_FORMAT),

        [RULE_NPY_OBJECTS] = REFUSE(
                "NPY-001", 2, "an array of Python objects",
                "Its elements are not numbers but a pickle, and loading a pickle runs code.", DONT_USE),
        [RULE_NPY_HEADER] = REFUSE(
                "NPY-002", 2, "the array's description can't be read",
                "It is cut off, too long, or of a version that doesn't exist; NumPy evaluates it as "
                "Python text.",
                GET_AGAIN),

        [RULE_ONNX_STRUCTURE] = REFUSE(
                "ONNX-001", 2, "the ONNX message is malformed",
                "Unknown, repeated, mistyped or overlong fields are read differently by different "
                "programs.",
                DONT_USE),
        [RULE_ONNX_DOMAIN] = REFUSE(
                "ONNX-002", 2, "operators from outside of ONNX",
                "Such an operator is machine code that has to be installed, or that the file's "
                "publisher supplies.",
                OTHER_FORMAT),
        [RULE_ONNX_EXTERNAL] = REFUSE(
                "ONNX-003", 2, "external data that leads astray",
                "Weights may be in other files. Absolute names, '..' and odd attributes have been "
                "used to read any file of the computer.",
                DONT_USE),
        [RULE_ONNX_HOLDS] = MENTION(
                "ONNX-004", 2, "what the ONNX model holds",
                "Its parts and the files that it refers to, for whoever wants to know what was "
                "refused.",
                OTHER_FORMAT),

        [RULE_ONNX_DATA] = REFUSE("ONNX-005", 2, "a tensor's data does not fit its shape",
                                  "The shape and the type of a tensor say how many bytes it has. Other bytes "
                                  "are read beyond their "
                                  "end, or hide something.",
                                  DONT_USE),

        [RULE_KERAS_CODE] = REFUSE(
                "KERAS-001", 2, "a layer that is Python code",
                "Lambda layers and functions hold compiled Python code, which runs with all "
                "rights of the program that loads the model.",
                DONT_USE),

        [RULE_FOLDER_NAME] = REFUSE(
                "FOLDER-001", 2, "a name that systems or people read differently",
                "Names have letters, digits and plain signs, in Unicode's composed form, of one "
                "alphabet. Invisible, reversing or look-alike characters, hidden names, names of "
                "devices and dots or spaces at the end make one file pass for another.",
                "Rename the file if the model doesn't need its name; otherwise don't use the folder."),
        [RULE_FOLDER_COLLISION] = REFUSE("FOLDER-002", 2, "two names for the same file",
                                         "On systems that don't tell capitals from small letters one of them "
                                         "replaces the other, so that not "
                                         "what was checked is used.",
                                         TAKE_OUT),
        [RULE_FOLDER_LIMIT] = REFUSE("FOLDER-003", 2, "larger than what is read",
                                     "A folder, or a file that describes its model, is far larger than those "
                                     "of published models. What is not "
                                     "read whole is not vouched for.",
                                     TAKE_OUT),
        [RULE_FOLDER_ENDING] = REFUSE(
                "FOLDER-004", 2, "a file that no model needs",
                "Next to weights (safetensors, GGUF) a folder may hold JSON, text, vocabularies, "
                "templates and PNG pictures. Programs, scripts, pickles and archives have no place "
                "in it.",
                TAKE_OUT),
        [RULE_FOLDER_CONTENT] = REFUSE(
                "FOLDER-005", 2, "the name says one thing, the content another",
                "A file that is not what its name says may be opened by the wrong program.", DONT_USE),
        [RULE_FOLDER_JSON] = REFUSE("FOLDER-006", 2, "not strict JSON",
                                    "Comments, NaN, leading zeros, half characters and text behind the end "
                                    "are read by some programs and "
                                    "not by others.",
                                    GET_AGAIN_ALL),
        [RULE_FOLDER_DUPLICATE] = REFUSE(
                "FOLDER-007", 2, "a JSON key that is given twice",
                "Some programs take the first value and some the last: what one checks is not "
                "what the other uses.",
                DONT_USE),
        [RULE_FOLDER_CODE] = REFUSE(
                "FOLDER-008", 2, "configuration that loads code",
                "Keys such as auto_map, custom_pipeline, trust_remote_code or _target_ make programs run "
                "code that comes with the model or is fetched from elsewhere.",
                "Look for a version of the model that needs no code of its own."),
        [RULE_FOLDER_PATH] = REFUSE(
                "FOLDER-009", 2, "configuration that leads out of the folder",
                "Where programs follow a path, it must stay in the folder: no address, no absolute "
                "path, no \"..\".",
                DONT_USE),
        [RULE_FOLDER_ORIGIN] = MENTION(
                "FOLDER-010", 2, "configuration notes where it was made",
                "Some programs write down the place that they loaded a model from. It is not "
                "followed.",
                "Nothing needs to be done."),
        [RULE_FOLDER_TEXT] = REFUSE("FOLDER-011", 2, "a text that is no clean text",
                                    "Texts are UTF-8 without control characters; others hide what they hold.",
                                    GET_AGAIN_ALL),
        [RULE_FOLDER_PIECES] = REFUSE(
                "FOLDER-012", 2, "a malformed vocabulary",
                "A SentencePiece vocabulary (tokenizer.model) has a strict structure; readers of "
                "malformed ones write outside of memory.",
                GET_AGAIN_ALL),
        [RULE_FOLDER_PICTURE] = REFUSE("FOLDER-013", 2, "a malformed picture",
                                       "A picture beside a model must be a PNG file and nothing else.",
                                       TAKE_OUT),
        [RULE_FOLDER_NUMBERS] = REFUSE(
                "FOLDER-014", 2, "reference data that is not plain numbers",
                "Files ending in .bin or .f32 are accepted at the top of an image model's folder "
                "when they are nothing but numbers of four bytes; anything else may be a pickle.",
                TAKE_OUT),
        [RULE_FOLDER_KIND] = REFUSE("FOLDER-015", 2, "it can't be told which model this folder is",
                                    "A folder is one model: safetensors with their configuration, a GGUF "
                                    "model (one file, or all its parts), or "
                                    "an image model with its model_index.json.",
                                    "Import each model on its own."),
        [RULE_FOLDER_CONFIG] = REFUSE(
                "FOLDER-016", 2, "the configuration doesn't fit the weights",
                "config.json must be there, and say the same as the weights do. A vocabulary "
                "larger than the weights makes programs read past their end.",
                GET_AGAIN_ALL),
        [RULE_FOLDER_UNSAID] = MENTION(
                "FOLDER-017", 2, "something that could not be checked",
                "The folder lacks a part that other models have, so that what it would have said "
                "was not held against the rest.",
                "Nothing, if you know why it is missing."),

        [RULE_DIFFUSION_INDEX] = REFUSE(
                "DIFFUSION-001", 7, "model_index.json is no list of components",
                "It names the pipeline's class and, for each component, its library and "
                "class; everything else is a switch.",
                GET_AGAIN_ALL),
        [RULE_DIFFUSION_MISSING] = REFUSE(
                "DIFFUSION-002", 7, "a component is missing",
                "model_index.json names a component whose folder is not there; programs "
                "would fetch it from elsewhere or fail.",
                GET_AGAIN_ALL),
        [RULE_DIFFUSION_EXTRA] = REFUSE(
                "DIFFUSION-003", 7, "a file that belongs to no component",
                "Every file must be one that a named component of the image model needs.", TAKE_OUT),
        [RULE_DIFFUSION_CLASS] = REFUSE(
                "DIFFUSION-004", 7, "a class that is not known",
                "The name of a class decides which code a program runs on the files; only the "
                "known ones are let in.",
                DONT_USE),
        [RULE_DIFFUSION_LIBRARY] = REFUSE(
                "DIFFUSION-005", 7, "a library that is not on the list",
                "Components come from diffusers and transformers, and the classic safety checker from "
                "stable_diffusion. Any other name may be code that comes with the model.",
                DONT_USE),
        [RULE_DIFFUSION_CONFIG] = REFUSE(
                "DIFFUSION-006", 7, "a component's configuration is missing or another one's",
                "Each component has its configuration (config.json, a vocabulary, "
                "preprocessor_config.json), and it says the same class as model_index.json.",
                GET_AGAIN_ALL),
        [RULE_DIFFUSION_WEIGHTS] = REFUSE(
                "DIFFUSION-007", 7, "a component's weights are missing or another one's",
                "Weights are safetensors files that hold the tensors of that component.", GET_AGAIN_ALL),
        [RULE_DIFFUSION_DEFAULTS] = MENTION(
                "DIFFUSION-008", 7, "a scheduler without configuration",
                "The program that makes pictures uses its own settings for the order of the "
                "steps.",
                "Nothing needs to be done."),
        [RULE_DIFFUSION_LOOKED_AT] = MENTION(
                "DIFFUSION-009", 7, "what this stage looked at",
                "The folder is held against its own list of components. What pictures the model "
                "makes is not tested.",
                "Nothing needs to be done."),
        [RULE_KERAS_OUTSIDE] = REFUSE("KERAS-002", 2, "a class or function from outside of Keras",
                                      "The description names Python code by module and name, and loading the "
                                      "model calls it, whatever "
                                      "it is.",
                                      DONT_USE),

        [RULE_TF_OPERATOR] = REFUSE("TF-001", 2, "an operator that reaches beyond numbers",
                                    "TensorFlow models are programs. This operator reads or writes files, or "
                                    "runs other code, when "
                                    "the model is used.",
                                    DONT_USE),
        [RULE_TF_STRUCTURE] = REFUSE("TF-002", 2, "the TensorFlow message can't be read",
                                     "It is damaged or cut off, so that its operators are not all known.",
                                     GET_AGAIN),
        [RULE_TF_HOLDS] = MENTION("TF-003", 2, "what the TensorFlow model holds",
                                  "Its parts, for whoever wants to know what was refused.", OTHER_FORMAT),

        [RULE_TFLITE_CUSTOM] = REFUSE("TFLITE-001", 2, "an operator from outside of TensorFlow Lite",
                                      "Such an operator is machine code that the model's publisher supplies.",
                                      OTHER_FORMAT),
        [RULE_TFLITE_STRUCTURE] = REFUSE("TFLITE-002", 2, "the TensorFlow Lite model can't be read",
                                         "Its parts point to places outside of the file.", GET_AGAIN),
        [RULE_TFLITE_LIMIT] = MENTION(
                "TFLITE-003", 2, "the TensorFlow Lite model is too large to look through",
                "Its custom operators are not named. It is refused as every such model.", OTHER_FORMAT),

        [RULE_TORCH_CODE] = REFUSE(
                "TORCH-001", 2, "a model that is program code",
                "TorchScript models carry their program along; it runs when they are used.", OTHER_FORMAT),
        [RULE_TORCH_CALL] = REFUSE(
                "TORCH-002", 2, "program code that reaches beyond numbers",
                "The code of the model reads or writes files, or calls machine code that is not PyTorch's.",
                DONT_USE),

        [RULE_PROGRAM_HOLDS] = MENTION(
                "PROGRAM-001", 2, "a model inside of a program",
                "Programs such as llamafiles carry a model along. The model alone, as a "
                "GGUF file, needs no trust in the program.",
                OTHER_FORMAT),

        [RULE_ARCHIVE_PROGRAM] = REFUSE("ARCHIVE-001", 2, "a program inside the archive",
                                        "Whoever unpacks the archive has a program on the computer that was "
                                        "called a model.",
                                        DONT_USE),
        [RULE_ARCHIVE_NAME] = REFUSE("ARCHIVE-002", 2, "a member that leads out of the archive",
                                     "Absolute names, '..', control characters, links and devices can write "
                                     "or read elsewhere on the "
                                     "computer when the archive is unpacked.",
                                     DONT_USE),
        [RULE_ARCHIVE_BROKEN] = REFUSE(
                "ARCHIVE-003", 2, "the archive can't be read to its end",
                "It is damaged, cut off, or made in a way that programs read differently.", GET_AGAIN),
        [RULE_ARCHIVE_LIMIT] = REFUSE("ARCHIVE-004", 2,
                                      "the archive is too large, too deep or packed too tightly",
                                      "Archives in archives, and few bytes that become very many, are made "
                                      "to exhaust whoever looks "
                                      "into them. What lies beyond the limits was not looked at.",
                                      DONT_USE),
        [RULE_ARCHIVE_CLOSED] = REFUSE("ARCHIVE-005", 2, "a member that can't be looked into",
                                       "It is encrypted or packed in a way that is not supported.",
                                       OTHER_FORMAT),
        [RULE_ARCHIVE_HOLDS] = MENTION(
                "ARCHIVE-006", 2, "what the archive holds",
                "The members by their kinds, for whoever wants to know what was refused.", OTHER_FORMAT),
};

const struct model_rule_text *model_rule_get(enum model_rule rule) {
        return &rules[(unsigned)rule < MODEL_RULE_MAX ? rule : RULE_KIND_REFUSED];
}

const struct model_rule_text *model_rule_find(struct view id) {
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                if (view_eq_str(id, rules[i].id))
                        return &rules[i];
        return NULL;
}
