/* Writes a C source that holds files as constants: struct embedded_file SYMBOL[] (src/base/embedded.h).
 * usage: embed OUT.c SYMBOL FILE... */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* Octal escapes always have three digits, so that a digit behind one is not taken into it. */
static void put_byte(FILE *out, int c, size_t at) {
        if (at % 64 == 0)
                fputs(at ? "\"\n        \"" : "\n        \"", out);
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '?')
                fputc(c, out);
        else
                fprintf(out, "\\%03o", (unsigned)c);
}

static bool put_file(FILE *out, const char *path) {
        FILE *in = fopen(path, "rbe");
        size_t n = 0;
        int c;

        if (!in) {
                fprintf(stderr, "embed: %s: %s\n", path, strerror(errno));
                return false;
        }
        fprintf(out, "        {\"%s\", {", base_name(path));
        for (; (c = fgetc(in)) != EOF; n++)
                put_byte(out, c, n);
        fprintf(out, "%s, %zu}},\n", n ? "\"" : "\"\"", n);
        if (ferror(in) || fclose(in) != 0) {
                fprintf(stderr, "embed: %s: can't be read\n", path);
                return false;
        }
        return true;
}

int main(int argc, char *argv[]) {
        bool good = true;
        FILE *out;

        if (argc < 4) {
                fprintf(stderr, "usage: embed OUT.c SYMBOL FILE...\n");
                return 2;
        }
        out = fopen(argv[1], "we");
        if (!out) {
                fprintf(stderr, "embed: %s: %s\n", argv[1], strerror(errno));
                return 2;
        }
        fprintf(out,
                "#include \"base/embedded.h\"\n\nextern const struct embedded_file %s[];\n"
                "const struct embedded_file %s[] = {\n",
                argv[2], argv[2]);
        for (int i = 3; i < argc && good; i++)
                good = put_file(out, argv[i]);
        fputs("        {0},\n};\n", out);
        if (fclose(out) != 0 || !good) {
                (void)remove(argv[1]);
                return 1;
        }
        return 0;
}
