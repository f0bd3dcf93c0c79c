/* SPDX-License-Identifier: MIT */
/* parse_bench.c - how fast Jenkinsfiles are read: MB of source a second of processor time, by
 * tokens alone, with the tree, and with all rules checked.  usage: parse-bench
 * tests/jenkinsfiles/x... */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "io/file.h"
#include "pipeline/language/jenkinsfile.h"

#define RUN_MS 1000
#define FILES_MAX 1000

static struct strbuf files[FILES_MAX];
static int count;
static struct diagnostics d;

static void
by_tokens(struct str text)
{
    struct tokens tokens = {0};
    struct arena arena = {0};

    d.count = 0;
    (void)!lexer_run(text, &arena, &tokens, &d);
    free(tokens.at);
    arena_done(&arena);
}

static void
by_tree(struct str text)
{
    struct arena arena = {0};

    d.count = 0;
    (void)!syntax_parse(text, &arena, &d);
    arena_done(&arena);
}

static void
by_rules(struct str text)
{
    d.count = 0;
    jenkinsfile_free(jenkinsfile_parse(text, &d));
}

static int64_t
cpu_ms(void)
{
    return (int64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

static void
measure(const char *what, void (*read_text)(struct str text))
{
    const int64_t start = cpu_ms();
    size_t bytes = 0, times = 0;
    int64_t took;

    do {
        for (int i = 0; i < count; i++) {
            read_text(strbuf_str(&files[i]));
            bytes += files[i].len;
            times++;
        }
        took = cpu_ms() - start;
    } while (took < RUN_MS);
    printf("%-8s %7.1f MB/s  %8.1f us a file\n", what, (double)bytes / 1e3 / (double)took,
           (double)took * 1e3 / (double)times);
}

int
main(int argc, char **argv)
{
    struct err err;

    for (int i = 1; i < argc && count < FILES_MAX; i++)
        if (file_read(argv[i], SYNTAX_TEXT_MAX, &files[count], &err))
            count++;
        else
            fprintf(stderr, "%s\n", err.message);
    if (count == 0) {
        fputs("usage: parse-bench FILE...\n", stderr);
        return 2;
    }
    measure("tokens", by_tokens);
    measure("tree", by_tree);
    measure("rules", by_rules);
    return 0;
}
