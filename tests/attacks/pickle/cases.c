#include "attacks/pickle/cases.h"

#include "base/num.h"

/* The assembler: an opcode as Python's pickletools calls it. */
#define P2           "\x80\2"
#define P4           "\x80\4"
#define GLOBAL(m, n) "c" m "\n" n "\n"
#define INST(m, n)   "i" m "\n" n "\n"
#define U(n, text)   "\x8c" n text /* SHORT_BINUNICODE */
#define SG           "\x93"        /* STACK_GLOBAL */
#define T1           "\x85"
#define T2           "\x86"
#define T3           "\x87"
#define MEMO         "\x94"
#define NEWOBJ       "\x81"
#define NEWOBJ_EX    "\x92"
#define OS           U("\2", "os")
#define SYSTEM       U("\6", "system")
#define ID           U("\2", "id")
#define A(lit)       VIEW_INIT(lit)

#define DANGER  "PICKLE-001"
#define UNKNOWN "PICKLE-002"
#define UNNAMED "PICKLE-003"
#define CALL    "PICKLE-004"
#define BROKEN  "PICKLE-005"
#define AFTER   "PICKLE-006"
#define LIMIT   "PICKLE-007"

const struct pickle_case pickle_cases[] = {
        /* names, plainly */
        {"os.system by GLOBAL", DANGER,
         "\"os.system\" (GLOBAL) and calls it (REDUCE at 18): it runs programs", 2,
         A(P2 GLOBAL("os", "system") "U\2id" T1 "R.")},
        {"posix.system, protocol 0", DANGER, "\"posix.system\" (GLOBAL) and calls it (REDUCE at 22)", 0,
         A(GLOBAL("posix", "system") "(S'id'\ntR.")},
        {"nt.system", DANGER, "\"nt.system\"", 2, A(P2 GLOBAL("nt", "system") ")R.")},
        {"os.system by STACK_GLOBAL", DANGER, "\"os.system\" (STACK_GLOBAL) and calls it (REDUCE at 20)", 14,
         A(P4 OS SYSTEM SG ID T1 "R.")},
        {"builtins.eval", DANGER, "runs Python code", 2, A(P2 GLOBAL("builtins", "eval") "U\0011" T1 "R.")},
        {"Python 2's builtins", DANGER, "\"__builtin__.eval\"", 2,
         A(P2 GLOBAL("__builtin__", "eval") "U\0011" T1 "R.")},
        {"exec", DANGER, "\"builtins.exec\"", 2, A(P2 GLOBAL("builtins", "exec") ")R.")},
        {"a whole module below", DANGER, "\"urllib.request.urlopen\"", 2,
         A(P2 GLOBAL("urllib.request", "urlopen") ")R.")},
        {"subprocess", DANGER, "\"subprocess.Popen\"", 2, A(P2 GLOBAL("subprocess", "Popen") ")R.")},
        {"runpy", DANGER, "\"runpy.run_path\"", 2, A(P2 GLOBAL("runpy", "run_path") ")R.")},
        {"torch.load in itself", DANGER, "\"torch.load\"", 2, A(P2 GLOBAL("torch", "load") ")R.")},
        {"numpy runstring", DANGER, "\"numpy.testing._private.utils.runstring\"", 2,
         A(P2 GLOBAL("numpy.testing._private.utils", "runstring") ")R.")},
        {"imported only", DANGER, "never calls it", 2, A(P2 GLOBAL("os", "system") ".")},
        {"a dotted path through torch", DANGER,
         "\"torch.serialization.os.system\" (STACK_GLOBAL) and calls it", 34,
         A(P4 U("\5", "torch") U("\x17", "serialization.os.system") SG ")R.")},
        {"an unknown class", UNKNOWN, "\"__main__.Model\" (GLOBAL) and calls it (NEWOBJ at 19)", 2,
         A(P2 GLOBAL("__main__", "Model") ")" NEWOBJ ".")},
        {"almost harmless", UNKNOWN, "\"collections.OrderedDicT\"", 2,
         A(P2 GLOBAL("collections", "OrderedDicT") ")R.")},
        {"harmless name below another module", UNKNOWN, "\"collections.x.OrderedDict\"", 2,
         A(P2 GLOBAL("collections.x", "OrderedDict") ")R.")},

        /* names by way of the memo and of every kind of text */
        {"names from the memo", DANGER, "\"os.system\" (STACK_GLOBAL)", 24,
         A(P4 OS MEMO "0" SYSTEM MEMO "0h\0h\1"
                      "N0" SG ")R.")},
        {"names stored with BINPUT at odd places", DANGER, "\"os.system\"", 24,
         A(P4 OS "q\x70" SYSTEM "q\x07"
                 "00"
                 "h\x70h\x07" SG ")R.")},
        {"memo index by number of entries", DANGER, "\"os.system\"", 25,
         A(P4 OS "q\5" SYSTEM MEMO /* entry 1 */ "00"
                 "N0"
                 "h\5h\1" SG ")R.")},
        {"a memo entry overwritten", DANGER, "\"os.system\"", 35,
         A(P4 U("\2", "io") "q\0"
                            "0" OS "q\0"
                            "0" SYSTEM "0"
                            "h\0" SYSTEM SG ")R.")},
        {"LONG_BINPUT and GET", DANGER, "\"os.system\"", 36,
         A(P2 OS "r\0\1\0\0" SYSTEM "p300\n"
                 "00g256\nj\x2c\1\0\0" SG ")R.")},
        {"the function itself in the memo", DANGER, "calls it (REDUCE at 19)", 2,
         A(P2 GLOBAL("os", "system") "q\0000h\0)R"
                                     ".")},
        {"duplicated function", DANGER, "and calls it", 2, A(P2 GLOBAL("os", "system") "20)R.")},
        {"BINUNICODE8", DANGER, "\"os.system\"", 28,
         A(P4 "\x8d\2\0\0\0\0\0\0\0os\x8d\6\0\0\0\0\0\0\0system" SG ")R.")},
        {"STRING with backslashes", DANGER, "\"os.system\"", 22, A("S'\\x6f\\163'\nS'system'\n" SG ")R.")},
        {"UNICODE with \\u", DANGER, "\"os.system\"", 31, A("V\\u006f\\u0073\nV\\U00000073ystem\n" SG ")R.")},
        {"BINSTRING", DANGER, "\"os.system\"", 18, A("T\2\0\0\0osT\6\0\0\0system" SG ")R.")},
        {"a duplicated text", DANGER, "\"os.os\"", 7, A(P4 OS "2" SG ")R.")},
        {"behind POP_MARK", DANGER, "\"os.system\"", 19, A(P4 OS "(" U("\1", "x") "1" SYSTEM SG ".")},

        /* names that are computed */
        {"name from a call", UNNAMED, "is what \"_codecs.encode\" returns", 40,
         A(P4 OS GLOBAL("_codecs", "encode") SYSTEM U("\6", "latin1") T2 "R" SG ".")},
        {"module from operator.add", UNNAMED, "whose module is what \"operator.add\" returns", 32,
         A(P4 GLOBAL("operator", "add") U("\1", "o") U("\1", "s") T2 "R" SYSTEM SG ".")},
        {"name handed over by the loader", UNNAMED, "an object of the loading program", 15,
         A(P4 OS SYSTEM "Q" SG ".")},
        {"name of bytes", UNNAMED, "is bytes", 14, A(P4 OS "C\6system" SG ".")},
        {"a number as name", UNNAMED, "is a number", 8, A(P4 OS "K\1" SG ".")},
        {"EXT1", UNNAMED, "\"copyreg extension.17\" (EXT1) and calls it", 2, A(P2 "\x82\x11)R.")},
        {"EXT2", UNNAMED, "\"copyreg extension.4660\"", 2, A(P2 "\x83\x34\x12)R.")},
        {"EXT4", UNNAMED, "\"copyreg extension.4294967295\"", 2, A(P2 "\x84\xff\xff\xff\xff.")},

        /* calls */
        {"INST", DANGER, "\"os.system\" (INST) and calls it (INST at 6)", 6,
         A("(S'x'\n" INST("os", "system") ".")},
        {"OBJ", DANGER, "calls it (OBJ at 20)", 3,
         A(P2 "(" GLOBAL("os", "system") "U\2id"
                                         "N0"
                                         "o.")},
        {"NEWOBJ", DANGER, "calls it (NEWOBJ at 15)", 2, A(P2 GLOBAL("os", "popen") "N0)" NEWOBJ ".")},
        {"NEWOBJ_EX", DANGER, "calls it (NEWOBJ_EX at 14)", 2,
         A(P4 GLOBAL("os", "popen") ")}" NEWOBJ_EX ".")},
        {"harmless class by NEWOBJ_EX", CALL, "in a way that tensors never need", 29,
         A(P4 GLOBAL("collections", "OrderedDict") ")}" NEWOBJ_EX ".")},
        {"harmless class by INST", CALL, "in a way that tensors never need", 1,
         A("(" INST("collections", "OrderedDict") ".")},
        {"codec other than latin1", CALL, "another codec than latin1", 38,
         A(P4 GLOBAL("_codecs", "encode") U("\1", "x") U("\6", "base64") "N00" U("\3", "zip") T2 "R.")},
        {"result of a call called", CALL, "REDUCE calls what \"builtins.getattr\" returned", 36,
         A(P2 GLOBAL("builtins", "getattr") GLOBAL("torch", "nn") T1 "R(t"
                                                                     "N0"
                                                                     "R.")},
        {"nested REDUCE", DANGER, "\"builtins.getattr\" (GLOBAL) and calls it", 2,
         A(P2 GLOBAL("builtins", "getattr") GLOBAL("builtins", "__import__") "U\2os" T1 "RU\6system" T2
                                                                             "RU\2id" T1 "R.")},
        {"number called", CALL, "calls a number", 5, A(P2 "K\1)R.")},
        {"BUILD with __setstate__", CALL, "BUILD sets the state of what \"__main__.X\" returned", 43,
         A(P2 GLOBAL("__main__", "X") ")" NEWOBJ "}U\x0c__setstate__" GLOBAL("os", "system") "sb"
                                                                                             "N0U\2idb.")},
        {"BUILD on a class", CALL, "writes attributes into \"collections.OrderedDict\" itself", 33,
         A(P2 GLOBAL("collections", "OrderedDict") "}U\1xNsb"
                                                   ".")},
        {"APPEND to a foreign object", CALL, "APPEND calls a method of", 17,
         A(P2 GLOBAL("__main__", "X") ")RNa.")},

        /* endings */
        {"second pickle behind the first", DANGER, "\"os.system\"", 6,
         A(P2 "N." P2 GLOBAL("os", "system") ")R.")},
        {"bytes behind STOP", AFTER, "the file goes on", 4,
         A(P2 "N."
              "\0\0\0\0")},
        {"second pickle in protocol 0", AFTER, "the file goes on", 4,
         A(P2 "N." GLOBAL("os", "system") ")R.")},
        {"no STOP", BROKEN, "breaks off", 3, A(P2 "N")},
        {"STOP without a value", BROKEN, "Too few values on the stack at STOP", 2, A(P2 ".")},
        {"damage behind the call", DANGER, "\"os.system\"", 2, A(P2 GLOBAL("os", "system") ")R\xff\xff")},
        {"damage behind the call is told", BROKEN, "No such opcode at this byte", 15,
         A(P2 GLOBAL("os", "system") ")R\xff\xff")},
        {"values left over", BROKEN, "STOP leaves values", 4, A(P2 "NN.")},

        /* lengths, frames, truncation */
        {"BINUNICODE8 of 2^64 - 1", BROKEN, "length beyond the end", 2,
         A(P4 "\x8d\xff\xff\xff\xff\xff\xff\xff\xffx")},
        {"BINBYTES8 of 2^63", BROKEN, "length beyond the end", 2, A(P4 "\x8e\0\0\0\0\0\0\0\x80x.")},
        {"BYTEARRAY8", BROKEN, "length beyond the end", 2, A("\x80\5\x96\x10\0\0\0\0\0\0\0x.")},
        {"BINSTRING of -1", BROKEN, "negative length", 2, A(P2 "T\xff\xff\xff\xffx.")},
        {"LONG4 past the end", BROKEN, "length beyond the end", 2,
         A(P2 "\x8b\xff\xff\xff\x7f"
              "1.")},
        {"length itself cut off", BROKEN, "breaks off", 2, A(P4 "\x8d\1\0\0")},
        {"line cut off", BROKEN, "breaks off", 0, A("cos\nsyst")},
        {"FRAME longer than the file", BROKEN, "A FRAME announces", 2, A(P4 "\x95\xff\0\0\0\0\0\0\0N.")},
        {"FRAME shorter than its opcode", BROKEN, "over the end of its FRAME", 11,
         A(P4 "\x95\2\0\0\0\0\0\0\0" OS SYSTEM SG ")R.")},
        {"FRAME in a FRAME", BROKEN, "inside another", 11,
         A(P4 "\x95\x0b\0\0\0\0\0\0\0\x95\2\0\0\0\0\0\0\0N.")},
        {"a FRAME that lies hides nothing", DANGER, "\"os.system\"", 23,
         A(P4 "\x95\2\0\0\0\0\0\0\0" OS SYSTEM SG ")R.")},
        {"protocol 6", BROKEN, "A protocol that doesn't exist", 0, A("\x80\6N.")},
        {"MARK never closed", BROKEN, "STOP leaves values", 5,
         A(P2 "N("
              "N.")},
        {"TUPLE without MARK", BROKEN, "No MARK is open", 3, A(P2 "Nt.")},
        {"values below the mark", BROKEN, "Too few values", 5, A(P2 "NN(" T2 ".")},
        {"memo entry that is not there", BROKEN, "never stored", 2, A(P2 "h\0.")},
        {"name that is not UTF-8", BROKEN, "not UTF-8", 2, A(P2 GLOBAL("o\xff", "system") ")R.")},
        {"memo index spelt with an underscore", BROKEN, "unusual spelling", 1, A("Np1_0\n0g10\n.")},
        {"memo index beyond the limit", LIMIT, "Memo entry 4294967295", 3, A(P2 "Nr\xff\xff\xff\xff.")},
        {"a forgotten memo entry is not trusted", CALL, "calls a value that is not known", 24,
         A(P2 GLOBAL("os", "system") "r\xff\xff\xff\xff"
                                     "j\xff\xff\xff\xff)"
                                     "R.")},
};
const size_t pickle_cases_n = ARRAY_SIZE(pickle_cases);
