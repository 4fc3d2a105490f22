/* Runs every file of a folder through a fuzz target once: the committed corpus as a regression test. */
#include <dirent.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define INPUT_MAX ((size_t)64 << 20)

int main(int argc, char *argv[]) {
        unsigned count = 0;
        struct dirent *entry;
        DIR *dir;

        if (argc != 2) {
                fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
                return 2;
        }
        dir = opendir(argv[1]);
        if (!dir) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
                return 2;
        }
        while ((entry = readdir(dir))) {
                _cleanup_(buf_donep) struct buf input = BUF_INIT(INPUT_MAX);

                if (entry->d_name[0] == '.')
                        continue;
                if (read_file_beneath(dirfd(dir), entry->d_name, INPUT_MAX, &input) < 0) {
                        fprintf(stderr, "%s/%s: can't be read\n", argv[1], entry->d_name);
                        return 2;
                }
                (void)LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&input), input.n);
                count++;
        }
        closedir(dir);
        printf("%u inputs replayed\n", count);
        return count > 0 ? 0 : 1; /* an empty corpus proves nothing */
}
