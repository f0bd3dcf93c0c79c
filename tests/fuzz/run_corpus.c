/* SPDX-License-Identifier: MIT */
/* run_corpus.c - the plain main() of a fuzz target: gives it each file of the folders named on the
 * command line, each file cut short at many places, and each with single bytes changed, so that a
 * corpus of a dozen files asks a few thousand questions in every `tools/check`.  The same target
 * linked with -fsanitize=fuzzer searches by itself (tests/fuzz/meson.build). */
#include <dirent.h>
#include <stdio.h>
#include "base/random.h"
#include "base/str.h"

#define FILE_SIZE_MAX ((size_t)1024 * 1024)
#define CUTS_MAX 200
#define CHANGES 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact heap copy, so that AddressSanitizer sees a read beyond the end. */
static void
ask(const char *data, size_t size)
{
    uint8_t *copy = mem_new(size);

    if (size > 0)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static unsigned
ask_about(const char *data, size_t size)
{
    size_t step = size / CUTS_MAX + 1;
    unsigned asked = 1;
    struct rng rng;

    ask(data, size);
    for (size_t cut = 0; cut < size; cut += step, asked++)
        ask(data, cut);
    rng_seed(&rng, size);
    for (int i = 0; i < CHANGES && size > 0; i++, asked++) {
        char *changed = mem_new(size);

        memcpy(changed, data, size);
        for (uint64_t left = 1 + rng_below(&rng, 3); left > 0; left--)
            changed[rng_below(&rng, size)] = (char)rng_below(&rng, 256);
        ask(changed, size);
        free(changed);
    }
    return asked;
}

static unsigned
run_file(const char *path)
{
    char *data = mem_new(FILE_SIZE_MAX);
    FILE *file = fopen(path, "rb");
    unsigned asked = 0;
    size_t size;

    if (file != NULL) {
        size = fread(data, 1, FILE_SIZE_MAX, file);
        (void)fclose(file);
        asked = ask_about(data, size);
    }
    free(data);
    return asked;
}

int
main(int argc, char **argv)
{
    unsigned files = 0, asked = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *entry;

        while (dir != NULL && (entry = readdir(dir)) != NULL) {
            cleanup_free char *path = text_format("%s/%s", argv[i], entry->d_name);
            unsigned more = entry->d_name[0] == '.' ? 0 : run_file(path);

            files += more > 0;
            asked += more;
        }
        if (dir != NULL)
            (void)closedir(dir);
    }
    /* A crash ends the program before this line; a folder without files is a failure, too. */
    printf("%u files, %u inputs\n%u passed, %d failed\n", files, asked, files, files == 0);
    return files == 0;
}
