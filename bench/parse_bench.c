/* SPDX-License-Identifier: MIT */
/* parse_bench.c - how fast Jenkinsfiles are read: MB of source a second of processor time, by
 * tokens alone, with the tree, and with all rules checked.  usage: parse-bench [FILE...]; without one,
 * of made-up files: stages as people write them, 1 KB to the largest that is taken, and files of 200 KB that
 * are one long block of a kind. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "io/file.h"
#include "pipeline/language/jenkinsfile.h"
#include "pipeline/language/lexer.h"

#define RUN_MS 1000
#define FILES_MAX 1000

static struct strbuf files[FILES_MAX];
static int count;
static struct diagnostics d;

static void
by_tokens(struct str text)
{
    struct lexer lexer;
    struct arena arena = {0};

    d.count = 0;
    if (lexer_begin(&lexer, text, &arena, &d)) {
        while (!lexer.has_ended)
            lexer_fill(&lexer, lexer.count - 1, 1);
        lexer_done(&lexer);
    }
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

/* ---- made-up files ---- */

static const char stage[] =
    "        stage('Build %u') {\n"
    "            when { anyOf { branch 'main'; expression { return params.DEPLOY == 'yes' } } }\n"
    "            environment { IMAGE = \"${REGISTRY}/web-%u:${env.BUILD_NUMBER}\" }\n"
    "            steps {\n"
    "                echo \"building ${IMAGE} of ${env.BRANCH_NAME}\"\n"
    "                sh '''\n"
    "                    docker build -t $IMAGE --build-arg VERSION=%u .\n"
    "                    docker push $IMAGE\n"
    "                '''\n"
    "                script {\n"
    "                    def digest = sh(script: \"docker inspect ${IMAGE}\", returnStdout: true).trim()\n"
    "                    if (digest.startsWith('sha256:')) {\n"
    "                        env.DIGEST = digest.substring(7).take(12)\n"
    "                    } else {\n"
    "                        error \"no digest of ${IMAGE}: ${digest ?: 'nothing'}\"\n"
    "                    }\n"
    "                }\n"
    "                withCredentials([string(credentialsId: 'aws', variable: 'KEY')]) {\n"
    "                    sh 'aws ecs update-service --cluster c --service web-%u --force-new-deployment'\n"
    "                }\n"
    "            }\n"
    "            post { failure { echo 'failed' } } // and nobody is told\n"
    "        }\n";

#define ONE_STAGE "stages { stage('a') { steps { echo 'x' } } } }\n"

static const struct {
    const char *name;
    size_t size;
    const char *before, *line, *after; /* '#' becomes a number; NULL: stages as above */
} kinds[] = {
    {"tiny", 1000, NULL, NULL, NULL},
    {"typical", 5000, NULL, NULL, NULL},
    {"large", 200000, NULL, NULL, NULL},
    {"the largest", SYNTAX_TEXT_MAX, NULL, NULL, NULL},
    {"environment", 200000, "pipeline { agent any\nenvironment {\n", "NAME_# = \"of ${env.OTHER}\"\n", "}\n" ONE_STAGE},
    {"options", 200000, "pipeline { agent any\noptions {\n", "timestamps() // #\n", "}\n" ONE_STAGE},
    {"parameters", 200000, "pipeline { agent any\nparameters {\n", "string(name: 'NAME_#', defaultValue: 'x')\n",
     "}\n" ONE_STAGE},
    {"steps", 200000, "pipeline { agent any\nstages { stage('a') { steps {\n", "echo 'line #'\n", "} } } }\n"},
    {"arguments", 200000, "pipeline { agent any\nstages { stage('a') { steps { foo(\n", "name_#: 'value',\n", "last: 1) } } } }\n"},
    {"axis", 200000, "pipeline { agent none\nstages { stage('a') { matrix { axes { axis { name 'A'\nvalues ", "'v#',\n",
     "'last' } }\nstages { stage('b') { steps { echo 'x' } } } } } } }\n"},
    {"axes", 200000, "pipeline { agent none\nstages { stage('a') { matrix { axes {\n", "axis { name 'A#'; values 'x' }\n",
     "}\nstages { stage('b') { steps { echo 'x' } } } } } } }\n"},
    {"script", 200000, "node {\n", "def v# = [1, 2].collect { it * 2 }.join(',')\n", "}\n"},
};

static void
make_stages(struct strbuf *out, size_t size)
{
    strbuf_add_cstr(out, "pipeline {\n    agent any\n    options { timestamps() }\n    stages {\n");
    for (unsigned i = 1; i == 1 || out->len + sizeof(stage) < size; i++)
        strbuf_addf(out, stage, i, i, i, i);
    strbuf_add_cstr(out, "    }\n}\n");
}

static void
make_long(struct strbuf *out, size_t kind)
{
    const char *line = kinds[kind].line, *mark = strchr(line, '#');

    strbuf_add_cstr(out, kinds[kind].before);
    for (unsigned i = 1; out->len < kinds[kind].size; i++)
        strbuf_addf(out, "%.*s%u%s", (int)(mark - line), line, i, mark + 1);
    strbuf_add_cstr(out, kinds[kind].after);
}

static void
measure_all(void)
{
    measure("tokens", by_tokens);
    measure("tree", by_tree);
    measure("rules", by_rules);
}

static void
measure_kinds(void)
{
    count = 1;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        files[0] = (struct strbuf){0};
        if (kinds[i].line == NULL)
            make_stages(&files[0], kinds[i].size);
        else
            make_long(&files[0], i);
        printf("%s, %zu bytes\n", kinds[i].name, files[0].len);
        measure_all();
        strbuf_done(&files[0]);
    }
}

int
main(int argc, char **argv)
{
    struct err err;

    setlinebuf(stdout); /* one after another takes a while */
    for (int i = 1; i < argc && count < FILES_MAX; i++)
        if (file_read(argv[i], SYNTAX_TEXT_MAX, &files[count], &err))
            count++;
        else
            fprintf(stderr, "%s\n", err.message);
    if (argc > 1 && count == 0) {
        fputs("usage: parse-bench [FILE...]\n", stderr);
        return 2;
    }
    if (argc > 1)
        measure_all();
    else
        measure_kinds();
    return 0;
}
