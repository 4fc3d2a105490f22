#include "model/pickle_names.h"

struct known {
        const char *module;
        const char *name; /* NULL: everything in the module and below it */
        const char *why;
};

static const struct known harmless[] = {
        {"collections", "OrderedDict", ""},
        {"torch", "FloatStorage", ""},
        {"torch", "DoubleStorage", ""},
        {"torch", "HalfStorage", ""},
        {"torch", "BFloat16Storage", ""},
        {"torch", "ByteStorage", ""},
        {"torch", "CharStorage", ""},
        {"torch", "ShortStorage", ""},
        {"torch", "IntStorage", ""},
        {"torch", "LongStorage", ""},
        {"torch", "BoolStorage", ""},
        {"torch", "ComplexFloatStorage", ""},
        {"torch", "ComplexDoubleStorage", ""},
        {"torch", "QInt8Storage", ""},
        {"torch", "QInt32Storage", ""},
        {"torch", "QUInt8Storage", ""},
        {"torch._utils", "_rebuild_tensor_v2", ""},
        {"torch._utils", "_rebuild_parameter", ""},
        {"numpy", "dtype", ""},
        {"numpy", "ndarray", ""},
        {"numpy.core.multiarray", "_reconstruct", ""},
        {"numpy._core.multiarray", "_reconstruct", ""},
        {"_codecs", "encode", ""},
        {"joblib.numpy_pickle", "NumpyArrayWrapper", ""}, /* the array behind it is followed, too */
};

#define SHELL   "runs programs on the computer"
#define CODE    "runs Python code from the file"
#define REACH   "reaches any function of any module"
#define FILES   "reads, writes or deletes files"
#define NETWORK "talks to other computers"
#define NESTED  "loads another pickle or code object hidden in this one"
#define NATIVE  "loads and runs machine code"
#define SYSTEM  "changes the running Python itself"

/* Names before their modules. The words are for people; what is not listed is refused just the same. */
static const struct known dangerous[] = {
        {"builtins", "eval", CODE},
        {"builtins", "exec", CODE},
        {"builtins", "execfile", CODE},
        {"builtins", "compile", CODE},
        {"builtins", "breakpoint", CODE},
        {"builtins", "input", CODE},
        {"builtins", "open", FILES},
        {"builtins", "file", FILES},
        {"builtins", "__import__", REACH},
        {"builtins", "getattr", REACH},
        {"builtins", "setattr", SYSTEM},
        {"builtins", "delattr", SYSTEM},
        {"builtins", "globals", REACH},
        {"builtins", "locals", REACH},
        {"builtins", "vars", REACH},
        {"builtins", "map", REACH},
        {"builtins", "filter", REACH},
        {"builtins", "apply", REACH},
        {"builtins", "type", SYSTEM},
        {"os", NULL, SHELL},
        {"posix", NULL, SHELL},
        {"nt", NULL, SHELL},
        {"subprocess", NULL, SHELL},
        {"_posixsubprocess", NULL, SHELL},
        {"commands", NULL, SHELL},
        {"popen2", NULL, SHELL},
        {"pty", NULL, SHELL},
        {"platform", NULL, SHELL},
        {"webbrowser", NULL, SHELL},
        {"pip", NULL, SHELL},
        {"ensurepip", NULL, SHELL},
        {"venv", NULL, SHELL},
        {"setuptools", NULL, SHELL},
        {"distutils", NULL, SHELL},
        {"multiprocessing", NULL, SHELL},
        {"uuid", NULL, SHELL},
        {"imaplib", NULL, SHELL},
        {"asyncio", NULL, SHELL},
        {"pydoc", NULL, SHELL},
        {"code", NULL, CODE},
        {"codeop", NULL, CODE},
        {"runpy", NULL, CODE},
        {"pdb", NULL, CODE},
        {"bdb", NULL, CODE},
        {"timeit", NULL, CODE},
        {"trace", NULL, CODE},
        {"profile", NULL, CODE},
        {"cProfile", NULL, CODE},
        {"doctest", NULL, CODE},
        {"idlelib", NULL, CODE},
        {"lib2to3", NULL, CODE},
        {"test", NULL, CODE},
        {"torch.hub", NULL, CODE},
        {"torch._inductor", NULL, CODE},
        {"torch._dynamo", NULL, CODE},
        {"torch.fx", NULL, CODE},
        {"torch.jit", NULL, CODE},
        {"torch.utils.bottleneck", NULL, CODE},
        {"torch.utils.collect_env", NULL, SHELL},
        {"torch.utils.data.datapipes", NULL, CODE},
        {"torch.utils._config_module", NULL, NESTED},
        {"torch.distributed", NULL, NESTED},
        {"torch.storage", "_load_from_bytes", NESTED},
        {"torch", "load", NESTED},
        {"torch.serialization", NULL, NESTED},
        {"numpy.testing", NULL, CODE},
        {"numpy.f2py", NULL, CODE},
        {"numpy", "load", NESTED},
        {"numpy.core.multiarray", "scalar", NESTED},
        {"numpy._core.multiarray", "scalar", NESTED},
        {"pandas", NULL, CODE},
        {"keras", NULL, CODE},
        {"tensorflow", NULL, CODE},
        {"importlib", NULL, REACH},
        {"imp", NULL, REACH},
        {"pkgutil", NULL, REACH},
        {"zipimport", NULL, REACH},
        {"_frozen_importlib", NULL, REACH},
        {"operator", NULL, REACH},
        {"_operator", NULL, REACH},
        {"functools", NULL, REACH},
        {"_functools", NULL, REACH},
        {"itertools", NULL, REACH},
        {"inspect", NULL, REACH},
        {"logging.config", NULL, REACH},
        {"unittest.mock", NULL, REACH},
        {"types", NULL, SYSTEM},
        {"sys", NULL, SYSTEM},
        {"site", NULL, SYSTEM},
        {"gc", NULL, SYSTEM},
        {"signal", NULL, SYSTEM},
        {"_signal", NULL, SYSTEM},
        {"copyreg", NULL, SYSTEM},
        {"copy_reg", NULL, SYSTEM},
        {"atexit", NULL, SYSTEM},
        {"threading", NULL, SYSTEM},
        {"_thread", NULL, SYSTEM},
        {"ctypes", NULL, NATIVE},
        {"_ctypes", NULL, NATIVE},
        {"cffi", NULL, NATIVE},
        {"shutil", NULL, FILES},
        {"pathlib", NULL, FILES},
        {"io", NULL, FILES},
        {"_io", NULL, FILES},
        {"tempfile", NULL, FILES},
        {"linecache", NULL, FILES},
        {"fileinput", NULL, FILES},
        {"glob", NULL, FILES},
        {"zipfile", NULL, FILES},
        {"tarfile", NULL, FILES},
        {"sqlite3", NULL, FILES},
        {"dbm", NULL, FILES},
        {"mmap", NULL, FILES},
        {"socket", NULL, NETWORK},
        {"_socket", NULL, NETWORK},
        {"socketserver", NULL, NETWORK},
        {"ssl", NULL, NETWORK},
        {"urllib", NULL, NETWORK},
        {"urllib2", NULL, NETWORK},
        {"http", NULL, NETWORK},
        {"httplib", NULL, NETWORK},
        {"ftplib", NULL, NETWORK},
        {"smtplib", NULL, NETWORK},
        {"telnetlib", NULL, NETWORK},
        {"xmlrpc", NULL, NETWORK},
        {"requests", NULL, NETWORK},
        {"aiohttp", NULL, NETWORK},
        {"httpx", NULL, NETWORK},
        {"pickle", NULL, NESTED},
        {"_pickle", NULL, NESTED},
        {"cPickle", NULL, NESTED},
        {"dill", NULL, NESTED},
        {"cloudpickle", NULL, NESTED},
        {"joblib", NULL, NESTED},
        {"marshal", NULL, NESTED},
        {"shelve", NULL, NESTED},
        {"yaml", NULL, NESTED},
};

static bool is_in(struct view module, const char *whole) {
        size_t n = strlen(whole);

        return view_starts(module, (struct view){whole, n}) && (module.n == n || module.p[n] == '.');
}

static bool matches(const struct known *k, struct view module, struct view name) {
        return k->name ? view_eq_str(module, k->module) && view_eq_str(name, k->name)
                       : is_in(module, k->module);
}

/* A dotted name goes from object to object: "serialization.os.system". */
static const char *reached(struct view name) {
        struct view rest = name, part;

        while (view_split(&rest, '.', &part))
                for (size_t i = 0; i < ARRAY_SIZE(dangerous); i++)
                        if (!dangerous[i].name && view_eq_str(part, dangerous[i].module))
                                return dangerous[i].why;
        return NULL;
}

enum pickle_verdict pickle_name_judge(struct view module, struct view name, const char **ret_why) {
        const char *why;

        if (view_eq_str(module, "__builtin__") || view_eq_str(module, "__builtins__"))
                module = VIEW("builtins"); /* Python 2's name, mapped when loading */
        *ret_why = "is not on the list of names that plain tensors need, so nobody can vouch for it";
        for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
                if (matches(&harmless[i], module, name))
                        return PICKLE_NAME_HARMLESS;
        for (size_t i = 0; i < ARRAY_SIZE(dangerous); i++)
                if (matches(&dangerous[i], module, name)) {
                        *ret_why = dangerous[i].why;
                        return PICKLE_NAME_DANGEROUS;
                }
        why = reached(name);
        if (why)
                *ret_why = why;
        return why ? PICKLE_NAME_DANGEROUS : PICKLE_NAME_UNLISTED;
}
