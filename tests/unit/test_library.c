/* SPDX-License-Identifier: MIT */
/* Shared libraries: from a folder and from a repository of naru. */
#include "build_setup.h"
#include "pipeline/pipeline.h"

static void
put(const struct build *b, const char *name, const char *text)
{
    cleanup_free char *path = text_format("%s/%s", b->directory, name);

    *strrchr(path, '/') = '\0';
    CHECK(file_make_dirs(path, 0755, NULL));
    put_file(b, name, text);
}

/* The files of a library "shared" below `root`. */
static void
put_library(const struct build *b, const char *root)
{
    static const char *const files[][2] = {
        {"vars/greet.groovy", "def call(Map options = [:], String who) {\n"
                              "    echo \"hello ${who}${options.mark ?: '.'} from ${here()}\"\n}\n"
                              "def here() { 'greet' }\n"},
        {"vars/tools.groovy", "import groovy.transform.Field\n@Field def count = 0\n"
                              "def next() { ++count }\ndef shell(cmd) { sh(script: cmd, "
                              "returnStdout: true).trim() }\ndef tools(what) { \"tools of ${what}\" }\n"
                              "return this\n"},
        {"vars/around.groovy", "def call(Closure body) { echo 'before'; body(); echo 'after' }\n"},
        {"vars/standard.groovy",
         "def call(Closure body) {\n"
         "    def config = [:]\n"
         "    body.resolveStrategy = Closure.DELEGATE_FIRST\n"
         "    body.delegate = config\n"
         "    body()\n"
         "    pipeline {\n"
         "        agent any\n"
         "        environment { APP = \"${config.name}\" }\n"
         "        stages { stage('Build') { steps { echo \"building ${config.name} ${APP}\" } } }\n"
         "        post { always { echo 'library post' } }\n"
         "    }\n}\n"},
        {"src/org/acme/Version.groovy",
         "package org.acme\nclass Version implements Serializable {\n"
         "    int major, minor\n    def steps\n"
         "    def say() { steps.echo \"version ${this}\" }\n"
         "    String toString() { \"${major}.${minor}\" }\n}\n"},
        {"resources/text/motd.txt", "be kind\n"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        cleanup_free char *name = text_format("%s/%s", root, files[i][0]);
        put(b, name, files[i][1]);
    }
}

static const char *
run_with(struct build *b, const char *text, enum build_result want)
{
    b->config.home = text_dup(b->directory);
    const char *log = build_expect(b, text, want);
    free((void *)(uintptr_t)b->config.home);
    return log;
}

TEST(a_build_in_ones_own_directory_has_the_libraries_of_the_installation)
{
    cleanup(build_done) struct build b = {0};
    struct err err;

    build_init(&b);
    put_library(&b, "data/libraries/shared");
    put_file(&b, "ws/Jenkinsfile", "@Library('shared') _\nnode { greet('Ann') }");
    cleanup_free char *data = text_format("%s/data", b.directory);
    const struct pipeline_local spec = {.directory = b.config.workspace,
                                        .data_dir = data,
                                        .ctx = &b,
                                        .on_log = on_log,
                                        .on_stage = on_stage};
    CHECK(pipeline_run_directory(&spec, &b.outcome, &err));
    CHECK(strstr(strbuf_cstr(&b.log), "hello Ann. from greet\n") != NULL);
    CHECK(file_remove_tree(b.directory, &err));
}

TEST(a_folder_gives_variables_classes_and_resources)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put_library(&b, "libraries/shared");
    log =
        run_with(&b,
                 "@Library('shared') _\n"
                 "import org.acme.Version\n"
                 "pipeline {\n agent any\n stages { stage('A') { steps {\n"
                 "  greet('Ann')\n"
                 "  greet('Bob', mark: '!')\n"
                 "  around { echo 'inside' }\n"
                 "  script {\n"
                 "    tools.next(); echo \"count ${tools.next()} ${tools.shell('echo from sh')}\"\n"
                 "    echo tools.tools('all')\n"
                 "    new Version(major: 1, minor: 2, steps: this).say()\n"
                 "    echo libraryResource('text/motd.txt').trim()\n"
                 "  }\n } } }\n}\n",
                 RESULT_SUCCESS);
    CHECK(has(log, "hello Ann. from greet"));
    CHECK(has(log, "before\ninside\nafter"));
    CHECK(has(log, "count 2 from sh"));
    CHECK(has(log, "tools of all"));
    CHECK(has(log, "version 1.2"));
    CHECK(has(log, "be kind"));
}

TEST(a_library_may_hold_the_pipeline)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put_library(&b, "libraries/shared");
    log = run_with(&b, "library 'shared'\nstandard {\n  name = 'shop'\n}\n", RESULT_SUCCESS);
    CHECK(has(log, "building shop shop"));
    CHECK(has(log, "library post"));
    CHECK_TEXT(strbuf_cstr(&b.stages), "Build=SUCCESS\n");
}

/* The repository "shared": its tag v1 is of put_library(), its head greets otherwise. */
static void
put_repository(const struct build *b)
{
    cleanup_free char *command = NULL;

    put_library(b, "work");
    command = text_format(
        "cd %s/work && git init -q -b main . && git config user.email a@b && git config user.name "
        "a && "
        "git add . && git commit -qm one && git tag v1 && echo \"def call(w) { echo 'newer' }\" > "
        "vars/greet.groovy && git commit -qam two && mkdir ../git && git clone -q --bare . "
        "../git/shared.git",
        b->directory);
    free(check_shell(command));
}

TEST(branches_that_load_a_library_at_once_all_have_it)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put_repository(&b);
    log = run_with(&b,
                   "def at = [:]\n"
                   "for (int i = 0; i < 4; i++) { at[\"b$i\"] = { library 'shared@v1'\n greet 'Ann' } }\n"
                   "parallel at\n",
                   RESULT_SUCCESS);
    CHECK(has(log, "[b0] hello Ann. from greet"));
    CHECK(has(log, "[b3] hello Ann. from greet"));
}

TEST(a_repository_gives_a_version)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put_repository(&b);
    log = run_with(&b,
                   "pipeline {\n agent any\n libraries { lib('shared@v1') }\n"
                   " stages { stage('A') { steps { greet 'Ann' } } }\n}\n",
                   RESULT_SUCCESS);
    CHECK(has(log, "hello Ann. from greet"));

    cleanup(build_done) struct build missing = {0};
    build_init(&missing);
    log = run_with(&missing, "@Library('nowhere') _\necho 'never'\n", RESULT_FAILURE);
    CHECK(strstr(log, "there is no library 'nowhere'") != NULL);
    CHECK(!has(log, "never"));

    cleanup(build_done) struct build outside = {0};
    build_init(&outside);
    log = run_with(&outside, "library '../etc'\n", RESULT_FAILURE);
    CHECK(strstr(log, "is no name of a library") != NULL);
}

TEST(an_error_in_a_library_is_told_with_its_file)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put(&b, "libraries/shared/vars/bad.groovy", "def call() {\n  echo 'x\n}\n");
    log = run_with(&b, "@Library('shared') _\nbad()\n", RESULT_FAILURE);
    CHECK(strstr(log, "libraries/shared/vars/bad.groovy:2:8: the string that starts here") != NULL);
}

/* The file that takes most stack to parse, where the script has used up its own. */
TEST(load_at_the_end_of_the_stack_is_an_error)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    log = run_with(
        &b,
        "def text = 'return ' + ('[' * 110) + (']' * 110)\n"
        "def deeper(n) {\n"
        "    try { return deeper(n + 1) } catch (StackOverflowError e) {\n"
        "        try { load 'deep.groovy'; return 'loaded' } catch (StackOverflowError f) {\n"
        "            throw f\n"
        "        }\n"
        "    }\n"
        "}\n"
        "node {\n"
        "    writeFile file: 'deep.groovy', text: text\n"
        "    parallel(a: { echo 'once ' + deeper(0) }, b: { echo \"flat ${load('deep.groovy')}\" "
        "})\n"
        "}\n",
        RESULT_SUCCESS);

    CHECK(has(log, "[a] once loaded"));
    CHECK(strstr(log, "[b] flat [[[") != NULL);
}

/* An instance that was made before has none of its fields. */
TEST(a_parent_class_may_come_later)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    log = run_with(&b,
                   "class B extends A { def shown() { super.toString() } }\n"
                   "def early = new B()\n"
                   "node {\n"
                   "    writeFile file: 'a.groovy', text: '@groovy.transform.ToString class A { def x = 1; boolean equals(o) { true } }'\n"
                   "    load 'a.groovy'\n"
                   "    echo early.shown() + ' ' + new B().shown() + ' ' + (new B() == new B())\n"
                   "}\n",
                   RESULT_SUCCESS);
    CHECK(has(log, "A(null) A(1) true"));
}

TEST(a_library_that_calls_itself_without_end_is_an_error)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put(&b, "libraries/bad/vars/again.groovy", "def call(n) { other(n + 1) }\n");
    put(&b, "libraries/bad/vars/other.groovy", "def call(n) { again(n) }\n");
    put(&b, "libraries/bad/vars/endless.groovy",
        "def call() { pipeline { agent none; stages { stage('s') { steps { endless() } } } } }\n");
    log = run_with(&b,
                   "library 'bad'\n"
                   "try { again(1) } catch (StackOverflowError e) { echo 'again ' + e.message }\n"
                   "endless()\n",
                   RESULT_FAILURE);

    CHECK(has(log, "again the script calls itself too deeply"));
    CHECK(strstr(log, "ERROR: Jenkinsfile:1:67: the script calls itself too deeply") != NULL);
}
