/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <time.h>
#include "check.h"
#include "pipeline/language/needs.h"

/* "type name line note", a line each. */
static const char *
needs_of(const char *text)
{
    static struct strbuf out;
    struct diagnostics *d = mem_new(sizeof(*d));
    struct jenkinsfile *j = jenkinsfile_parse(str_of(text), d);
    struct arena arena = {0};

    strbuf_clear(&out);
    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%u: %s", d->items[0].line, d->items[0].message);
    for (const struct need *n = needs_find(j, &arena); n != NULL; n = n->next)
        strbuf_addf(&out, "%s " STR_FMT " %u%s%s\n", need_type_name(n->type), STR_ARG(n->name),
                    n->line, n->note == NULL ? "" : " ", n->note == NULL ? "" : n->note);
    arena_done(&arena);
    jenkinsfile_free(j);
    free(d);
    return strbuf_cstr(&out);
}

TEST(what_a_declarative_file_needs)
{
    CHECK_TEXT(
        needs_of("@Library('shared@v1') _\n"
                 "pipeline {\n"
                 "  agent { docker { image 'node:20' } }\n"
                 "  tools { maven 'M3' }\n"
                 "  parameters { string(name: 'WHO', defaultValue: 'x') }\n"
                 "  environment { KEY = credentials('api-key')\n IMAGE = \"${REGISTRY}/x\" }\n"
                 "  stages { stage('a') { agent { label 'linux' }\n"
                 "    when { environment name: 'DEPLOY', value: 'y' }\n"
                 "    steps {\n"
                 "      withCredentials([string(credentialsId: 'tok', variable: 'TOKEN')]) {\n"
                 "        sh \"FOO=1 sudo docker push ${IMAGE} && aws s3 ls | jq .\"\n"
                 "        echo \"${TOKEN} ${env.HOST_NAME} ${params.WHO} ${BUILD_NUMBER}\"\n"
                 "      }\n"
                 "      ech 'x'\n"
                 "      bat 'dir'\n"
                 "    } } }\n"
                 "  post { always { echo \"${MAIL_TO}\" } }\n"
                 "}\n"),
        "agent node:20 3 a docker image\n"
        "agent linux 8 a label\n"
        "tool maven 'M3' 4 taken from PATH\n"
        "command docker 3\n"
        "command aws 12\n"
        "command jq 12\n"
        "credential api-key 6\n"
        "credential tok 11\n"
        "parameter WHO 5 string\n"
        "variable REGISTRY 7\n"
        "variable HOST_NAME 13\n"
        "variable MAIL_TO 18\n"
        "library shared@v1 1\n"
        "unsupported-step bat 16 there is no Windows agent; use sh\n"
        "unknown-step ech 15 did you mean 'echo'?\n");
}

TEST(what_a_scripted_file_needs)
{
    const char *got = needs_of("def helper(x) { sh \"make ${x}\" }\n"
                               "def go = { echo 'x' }\n"
                               "node('big') {\n"
                               "  helper('all')\n"
                               "  go()\n"
                               "  withEnv(['A_B=1']) { echo A_B }\n"
                               "  git url: 'x', credentialsId: 'git-key'\n"
                               "  sshagent(['deploy-key']) { sh 'ssh host' }\n"
                               "  docker.withRegistry('https://x', 'hub') { }\n"
                               "}\n");

    CHECK(str_starts(str_of(got), STR("agent big 3 a label\n"
                                      "command make 1\n"
                                      "command ssh 8\n"
                                      "credential git-key 7\n"
                                      "credential deploy-key 8\n"
                                      "credential hub 9\n")));
    CHECK(strstr(got, "unknown-step") == NULL);
}

TEST(an_error_is_shown_with_its_line_and_a_caret)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct diagnostics *d = mem_new(sizeof(*d));
    const struct str text = STR("pipeline {\n\tagent anny\n  stages { }\n}\n");

    CHECK(jenkinsfile_parse(text, d) == NULL);
    diagnostics_show(d, "J", "error", text, &out);
    CHECK_TEXT(strbuf_cstr(&out),
               "J:2:2: error: expected 'agent any', 'agent none' or agent { ... } "
               "[E-INVALID-AGENT]\n"
               "  \tagent anny\n"
               "  \t^\n"
               "J:3:3: error: 'stages' needs at least one stage [E-NO-STAGES]\n"
               "    stages { }\n"
               "    ^\n");
    free(d);
}

TEST(labels_are_found_where_their_text_stands)
{
    struct diagnostics *d = mem_new(sizeof(*d));
    struct jenkinsfile *j = jenkinsfile_parse(
        STR("pipeline {\n agent {\n  node {\n   label 'a && b'\n  }\n }\n stages { stage('x') {\n"
            "  agent { docker { image 'i'; label 'gpu' } }\n"
            "  steps { script { node('c') { }; node(label: \"d\") { }; node(where) { } } } } }\n}\n"), d);
    struct arena arena = {0};
    cleanup(strbuf_done) struct strbuf out = {0};

    for (const struct need *n = needs_find(j, &arena); n != NULL; n = n->next)
        if (n->is_label)
            strbuf_addf(&out, "%u:%u " STR_FMT "\n", n->line, n->column, STR_ARG(n->name));
    CHECK_TEXT(strbuf_cstr(&out), "4:10 a && b\n8:37 gpu\n9:25 c\n9:47 d\n");
    arena_done(&arena);
    jenkinsfile_free(j);
    free(d);
}

/* Against what reading the file takes, whatever else the machine does. */
TEST(what_a_file_needs_is_found_in_time_that_grows_with_it)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free struct diagnostics *d = mem_new(sizeof(*d));
    struct arena arena = {0};
    struct jenkinsfile *j;
    clock_t began, read, found;
    unsigned count = 0;

    for (int i = 0; i < 6000; i++)
        strbuf_addf(&text, "def V%d = 1\nuse%d env.V%d\n", i, i % 50, i);
    for (int i = 0; i < 6000; i++)
        strbuf_addf(&text, "echo env.X%d\n", i % 999);
    began = clock();
    j = jenkinsfile_parse(strbuf_str(&text), d);
    CHECK(j != NULL && d->count == 0);
    read = clock();
    for (const struct need *n = needs_find(j, &arena); n != NULL; n = n->next)
        count += n->count;
    found = clock();
    CHECK_EQ(count, 12000u);
    if (found - read > 30 * (read - began))
        check_fail(__FILE__, __LINE__, "%ld us to read it, %ld us to find what it needs", (long)(read - began),
                   (long)(found - read));
    jenkinsfile_free(j);
    arena_done(&arena);
}
