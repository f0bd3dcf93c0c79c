/* SPDX-License-Identifier: MIT */
/* The traps of section 12: what people expect of a Jenkinsfile and does not hold, one test each. The numbers are those of
 * the reference; tools/rules.py sees that none is missing. */
#include <sys/stat.h>
#include "build_setup.h"
#include "pipeline/secrets.h"

#define FILE_OF(stages) "pipeline {\nagent any\nstages {\n" stages "\n}\n}\n"
#define STAGE_OF(name, steps) "stage('" name "') { steps {\n" steps "\n} }\n"
#define IN_STEPS(steps) FILE_OF(STAGE_OF("One", steps))

static bool
logged(const struct build *b, const char *text)
{
    const bool found = strstr(strbuf_cstr(&b->log), text) != NULL;

    if (!found)
        fprintf(stderr, "not in the log: %s\n%s\n", text, strbuf_cstr(&b->log));
    return found;
}

/* Such lines, in this order? */
static bool
logged_in_order(const struct build *b, const char *const *texts)
{
    const char *at = strbuf_cstr(&b->log);

    for (; *texts != NULL; texts++) {
        at = strstr(at, *texts);
        if (at == NULL) {
            fprintf(stderr, "not in its place: %s\n%s\n", *texts, strbuf_cstr(&b->log));
            return false;
        }
        at += strlen(*texts);
    }
    return true;
}
#define IN_ORDER(b, ...) logged_in_order(b, (const char *const[]){__VA_ARGS__, NULL})

/* The code and place of what is wrong with the file, "Jenkinsfile:LINE:COL: error: ... [CODE]"; "" if nothing is. */
static char *
lint(const char *text)
{
    struct diagnostics *d = mem_new(sizeof(*d));
    struct jenkinsfile *j = jenkinsfile_parse(str_of(text), d);
    cleanup(strbuf_done) struct strbuf out = {0};

    diagnostics_format(d, "J", &out);
    jenkinsfile_free(j);
    free(d);
    return out.len > 0 ? strbuf_take(&out) : text_dup("");
}

static bool
is_refused(const char *text, const char *why)
{
    cleanup_free char *found = lint(text);

    if (strstr(found, why) == NULL)
        fprintf(stderr, "not refused by %s: %s\n%s\n", why, text, found);
    return strstr(found, why) != NULL;
}
static bool
is_accepted(const char *text)
{
    cleanup_free char *found = lint(text);

    if (found[0] != '\0')
        fprintf(stderr, "refused: %s\n%s\n", text, found);
    return found[0] == '\0';
}

TEST(trap_1_a_backslash_before_the_end_of_a_line_joins_the_lines)
{
    cleanup(build_done) struct build b = {0};

    (void)run_steps(&b, "echo '''[one \\\ntwo]'''\necho '''[three \\\\\nfour]'''\nsh '''echo a \\\n  b'''", RESULT_SUCCESS);
    CHECK(logged(&b, "[one two]\n"));
    CHECK(logged(&b, "[three \\\nfour]\n"));
    CHECK(logged(&b, "+ echo a b\n"));
}

TEST(trap_2_what_begins_with_a_new_line_has_no_interpreter_of_its_own)
{
    cleanup(build_done) struct build b = {0};

    (void)run_steps(&b,
                    "sh '''#!/bin/sh\nfalse\necho of its own'''\n"
                    "script { echo \"code ${sh(returnStatus: true, script: '''\n#!/bin/sh\nfalse\necho of none''')}\" }",
                    RESULT_SUCCESS);
    CHECK(logged(&b, "\nof its own\n") && strstr(strbuf_cstr(&b.log), "+ echo of its own") == NULL);
    CHECK(logged(&b, "+ false\ncode 1\n") && strstr(strbuf_cstr(&b.log), "of none") == NULL);
}

TEST(trap_3_a_dollar_of_the_shell_is_escaped_in_double_quotes)
{
    cleanup(build_done) struct build b = {0};

    CHECK(is_refused(IN_STEPS("sh \"echo $(date)\""), "[E-SYNTAX]"));
    CHECK(is_refused(IN_STEPS("sh \"\"\"echo $1\"\"\""), "[E-SYNTAX]"));
    (void)run_steps(&b, "sh \"echo one \\$(echo two)\"\nsh 'echo three $(echo four)'", RESULT_SUCCESS);
    CHECK(logged(&b, "\none two\n") && logged(&b, "\nthree four\n"));
}

TEST(trap_4_what_is_assigned_to_env_does_not_override_a_block)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "pipeline { agent any\nenvironment { A = 'of the block' }\nstages {\n" STAGE_OF(
                       "One", "script { env.A = 'assigned'; env.B = 'assigned' }\n echo \"[${env.A}] [${env.B}]\"\n"
                              "withEnv(['B=of withEnv']) { script { env.B = 'again' }\n sh 'echo \"[$A] [$B]\"' }\n"
                              "echo \"B ${env.B}\"") "} }",
                   RESULT_SUCCESS);
    CHECK(logged(&b, "[of the block] [assigned]\n") && logged(&b, "[of the block] [of withEnv]\n") && logged(&b, "B again\n"));
}

TEST(trap_5_a_job_that_is_not_multibranch_is_on_no_branch)
{
    cleanup(build_done) struct build b = {0};
    static const char file[] =
        FILE_OF("stage('Main') { when { branch 'main' }\nsteps { echo 'is main' } }\n"
                "stage('Other') { when { not { branch 'main' } }\nsteps { echo 'is not' } }");

    build_init(&b);
    b.config.branch = NULL;
    (void)build_expect(&b, file, RESULT_SUCCESS);
    CHECK_TEXT(strbuf_cstr(&b.stages), "Main=SKIPPED WHEN\nOther=SUCCESS\n");
    cleanup(build_done) struct build again = {0};
    (void)run_file(&again, file, RESULT_SUCCESS);
    CHECK_TEXT(strbuf_cstr(&again.stages), "Main=SUCCESS\nOther=SKIPPED WHEN\n");
}

TEST(trap_6_when_sees_no_environment_of_its_stage_and_a_text_is_true)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "pipeline { agent any\nenvironment { A = 'outer' }\nstages {\n"
                   "stage('Own') { environment { A = 'own'; B = 'x' }\nwhen { environment name: 'A', value: 'own' }\n"
                   "steps { echo 'no' } }\n"
                   "stage('Outer') { environment { A = 'own' }\nwhen { expression { env.A == 'outer' && env.B == null } }\n"
                   "steps { echo \"in it ${env.A}\" } }\n"
                   "stage('Text') { when { expression { return 'false' } }\nsteps { echo 'text' } }\n"
                   "stage('False') { when { expression { return false } }\nsteps { echo 'no' } }\n} }",
                   RESULT_SUCCESS);
    CHECK_TEXT(strbuf_cstr(&b.stages), "Own=SKIPPED WHEN\nOuter=SUCCESS\nText=SUCCESS\nFalse=SKIPPED WHEN\n");
    CHECK(logged(&b, "in it own\n"));
}

#define POST(name) name " { echo 'post-" name "' }\n"

TEST(trap_7_post_has_an_order_of_its_own)
{
    cleanup(build_done) struct build b = {0}, failing = {0};

    (void)run_file(&b,
                   "pipeline { agent any\nstages {\n" STAGE_OF("One", "error 'x'") "}\npost {\n" POST("cleanup") POST("failure")
                       POST("unsuccessful") POST("success") POST("changed") POST("regression") POST("always") POST("fixed") "}\n}",
                   RESULT_FAILURE);
    CHECK(IN_ORDER(&b, "post-always", "post-changed", "post-regression", "post-unsuccessful", "post-failure", "post-cleanup"));
    CHECK(strstr(strbuf_cstr(&b.log), "post-success") == NULL && strstr(strbuf_cstr(&b.log), "post-fixed") == NULL);
    (void)run_file(&failing,
                   "pipeline { agent any\nstages {\n" STAGE_OF("One", "echo 'x'") "}\npost {\n" POST("cleanup") POST("failure")
                       POST("success") "always { error 'in always' }\n}\n}",
                   RESULT_FAILURE);
    CHECK(IN_ORDER(&failing, "in always", "post-failure", "post-cleanup"));
    CHECK(strstr(strbuf_cstr(&failing.log), "post-success") == NULL);
}

TEST(trap_8_a_result_that_is_set_does_not_stop_and_only_worsens)
{
    cleanup(build_done) struct build b = {0};

    (void)run_steps(&b,
                    "script { currentBuild.result = 'UNSTABLE'; echo \"one ${currentBuild.result}\"\n"
                    "currentBuild.result = 'SUCCESS'; echo \"two ${currentBuild.currentResult}\" }",
                    RESULT_UNSTABLE);
    CHECK(logged(&b, "one UNSTABLE\n") && logged(&b, "two UNSTABLE\n"));
}

/* A repository at <directory>/repo, which is what the build is of. */
static void
build_of_repository(struct build *b, const char *jenkinsfile, char commit[static 41])
{
    build_init(b);
    put_file(b, "ws/Jenkinsfile", jenkinsfile);
    cleanup_free char *script = text_format(
        "set -e; cd %s; mv ws repo; cd repo; git init -q -b main .; echo 1 > one; git add .; git -c user.name=a -c "
        "user.email=a@b commit -qm one; git rev-parse HEAD | tr -d '\\n'", b->directory);
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 60000};
    struct process_result result = {0};

    CHECK(process_run(&spec, &result, NULL) && result.exit_code == 0);
    CHECK(text_copy(commit, 41, strbuf_str(&result.output)));
    process_result_done(&result);
    b->config.git_url = text_format("%s/repo", b->directory);
    b->config.commit = commit;
    b->config.in_place = false;
}

static void
repository_done(struct build *b)
{
    free((void *)(uintptr_t)b->config.git_url);
    CHECK(file_remove_tree(b->directory, NULL));
    build_done(b);
}

static void
live(struct build *b, enum build_result want)
{
    build_live(b);
    if (b->outcome.result != want)
        fprintf(stderr, "%s\n%s\n", strbuf_cstr(&b->log), b->outcome.reason);
    CHECK_TEXT(build_result_name(b->outcome.result), build_result_name(want));
}

TEST(trap_9_only_the_implicit_checkout_tells_the_commit)
{
    cleanup(repository_done) struct build b = {0}, without = {0};
    char commit[41], text[100];

    build_of_repository(&b, IN_STEPS("echo \"[${env.GIT_COMMIT}] ${env.GIT_BRANCH}\""), commit);
    live(&b, RESULT_SUCCESS);
    snprintf(text, sizeof(text), "[%s] main\n", commit);
    CHECK(logged(&b, text));
    build_of_repository(&without,
                        "pipeline { agent any\noptions { skipDefaultCheckout() }\nstages {\n" STAGE_OF(
                            "One", "script { def m = checkout scm; echo \"[${env.GIT_COMMIT}] ${m.GIT_COMMIT}\" }") "} }",
                        commit);
    live(&without, RESULT_SUCCESS);
    snprintf(text, sizeof(text), "[null] %s\n", commit);
    CHECK(logged(&without, text));
}

TEST(trap_10_an_agent_of_a_stage_is_another_workspace_with_another_checkout)
{
    cleanup(repository_done) struct build b = {0};
    char commit[41];

    build_of_repository(&b,
                        FILE_OF(STAGE_OF("One", "sh 'touch mine; ls; echo in ${WORKSPACE##*/}'")
                                "stage('Two') { agent any\nsteps { sh 'test ! -e mine; test -e one; echo in ${WORKSPACE##*/}' } }\n"),
                        commit);
    live(&b, RESULT_SUCCESS);
    CHECK(IN_ORDER(&b, "Checked out ", "\nin ws\n", "Checked out ", "\nin ws@2\n"));
}

TEST(trap_11_what_a_script_says_is_not_trimmed_and_has_no_trace)
{
    cleanup(build_done) struct build b = {0};

    (void)run_steps(&b,
                    "script { def out = sh(returnStdout: true, script: 'echo \" x \"; echo y >&2')\n"
                    "echo \"[${out}] ${out.size()} [${out.trim()}]\" }",
                    RESULT_SUCCESS);
    CHECK(logged(&b, "[ x \n] 4 [x]\n") && logged(&b, "+ echo") && logged(&b, "\ny\n"));
}

TEST(trap_12_a_pipe_fails_by_its_last_command_alone)
{
    cleanup(build_done) struct build b = {0};

    (void)run_steps(&b, "sh 'false | cat; echo one; false || true; echo two'", RESULT_SUCCESS);
    CHECK(logged(&b, "\none\n") && logged(&b, "\ntwo\n"));
    cleanup(build_done) struct build again = {0};
    (void)run_steps(&again, "sh 'true | false; echo never'", RESULT_FAILURE);
    CHECK(strstr(strbuf_cstr(&again.log), "\nnever") == NULL);
}

TEST(trap_13_a_dollar_without_braces_takes_properties_and_no_calls)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "pipeline { agent any\nparameters { booleanParam(name: 'YES', defaultValue: true) }\nstages {\n" STAGE_OF(
                       "One", "script { def m = [b: 'c']; echo \"one $m.b() two ${m.b.size()}\" }\n"
                              "echo \"unset ${env.NOT_SET} bool ${params.YES}\"") "} }",
                   RESULT_SUCCESS);
    CHECK(logged(&b, "one c() two 1\n") && logged(&b, "unset null bool true\n"));
}

TEST(trap_14_def_at_the_top_is_not_seen_in_functions)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "def hidden = 'h'\nshown = 's'\ndef f() { return shown }\ndef g() { return hidden }\n"
                   "pipeline { agent any\nstages {\n" STAGE_OF(
                       "One", "echo \"block ${hidden} function ${f()}\"\n"
                              "script { try { g(); echo 'seen' } catch (MissingPropertyException e) { echo 'not seen' } }") "} }",
                   RESULT_SUCCESS);
    CHECK(logged(&b, "block h function s\n") && logged(&b, "not seen\n"));
}

TEST(trap_15_a_bracket_is_an_index_a_parenthesis_ends_the_call_and_a_plus_begins_a_line)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "node {\ntry { println [1, 2]; echo 'printed' } catch (e) { echo 'an index' }\n"
                   "def b = ' and b'\ntry { echo ('a') + b } catch (e) { echo 'null plus' }\n"
                   "def x = 1\n + 2\ndef y = 'one'\ntry {\n y = 'two'\n + 'three'\n } catch (MissingMethodException e) { echo 'no plus of a "
                   "text' }\necho \"x is ${x} y is ${y}\"\necho 'c' + 'd'\n}",
                   RESULT_SUCCESS);
    CHECK(logged(&b, "an index\n") && logged(&b, "\na\n") && logged(&b, "no plus of a text\n") && logged(&b, "x is 1 y is two\n") && logged(&b, "\ncd\n"));
    CHECK(strstr(strbuf_cstr(&b.log), "a and b") == NULL);
}

TEST(trap_16_a_brace_may_stand_below_a_name_and_not_below_arguments)
{
    CHECK(is_accepted("pipeline\n{\n agent any\n stages\n {\n  stage('x')\n  {\n   steps\n   {\n    timeout(1)\n    {\n"
                      "     echo 'x'\n    }\n   }\n  }\n }\n}\n"));
    CHECK(is_refused(IN_STEPS("dir 'x'\n{ echo 'y' }"), "J:"));
    CHECK(is_refused(IN_STEPS("timeout time: 1\n{ echo 'y' }"), "J:"));
}

TEST(trap_17_values_of_the_environment_are_texts_or_calls)
{
    CHECK(is_refused("pipeline { agent any; environment { A = B }\nstages { " STAGE_OF("a", "echo 'x'") "} }", "[E-ENV-VALUE]"));
    CHECK(is_refused("pipeline { agent any; environment { A = B ? 'x' : 'y' }\nstages { " STAGE_OF("a", "echo 'x'") "} }",
                     "[E-ENV-VALUE]"));
    CHECK(is_accepted("pipeline { agent any; environment { A = \"${B ? 'x' : 'y'}\"; C = f('x').trim(); D = 'x' }\nstages { " STAGE_OF(
        "a", "echo 'x'") "} }"));
}

TEST(trap_18_groovy_in_steps_needs_script)
{
    static const char *const wrong[][2] = {{"if (true) { echo 'x' }", "[E-STEP-EXPECTED]"},
                                           {"x = 1", "[E-STEP-EXPECTED]"},
                                           {"docker.build('x')", "[E-OBJECT-CALL]"}};

    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        cleanup_free char *bare = text_format(FILE_OF("stage('a') { steps {\n%s\n} }"), wrong[i][0]);
        cleanup_free char *in_script = text_format(FILE_OF("stage('a') { steps { script {\n%s\n} } }"), wrong[i][0]);
        CHECK(is_refused(bare, wrong[i][1]) && is_refused(bare, "script"));
        CHECK(is_accepted(in_script));
    }
}

TEST(trap_19_names_of_stages_differ_among_siblings_and_are_plain_texts)
{
    cleanup(build_done) struct build b = {0};

    CHECK(is_refused(FILE_OF(STAGE_OF("a", "echo 'x'") STAGE_OF("a", "echo 'x'")), "[E-DUP-STAGE]"));
    CHECK(is_accepted(FILE_OF(STAGE_OF("a", "echo 'x'") "stage('b') { stages { " STAGE_OF("a", "echo 'x'") "} }")));
    CHECK(is_refused(FILE_OF("stage(\"${x}\") { steps { echo 'x' } }"), "[E-STAGE-NAME-LITERAL]"));
    (void)run_file(&b, "node { for (x in ['p', 'q']) { stage(\"${x}\") { echo x } } }", RESULT_SUCCESS);
    CHECK_TEXT(strbuf_cstr(&b.stages), "p=SUCCESS\nq=SUCCESS\n");
}

/* A `docker` that says what it was asked for. */
static char *
stand_in_docker(struct build *b)
{
    char *tools = text_format("%s/tools", b->directory);

    CHECK(file_make_dirs(tools, 0700, NULL));
    put_file(b, "tools/docker", "#!/bin/sh\necho \"# docker $*\" >&2\n"
             "case $1 in run) echo 0123456789abcdef;; inspect) echo true;; exec) cat \"$5\" >> \"${0%/*}/said\";; esac\n");
    cleanup_free char *path = text_format("%s/docker", tools);
    CHECK(chmod(path, 0700) == 0);
    b->config.tool_dir = tools;
    return tools;
}

TEST(trap_20_arguments_of_docker_build_take_the_place_of_the_context)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    cleanup_free char *tools = stand_in_docker(&b);
    (void)steps_expect(&b, "script { docker.build('one'); docker.build('two', '-f x.docker sub') }", RESULT_SUCCESS);
    CHECK(logged(&b, "# docker build -t one .\n") && logged(&b, "# docker build -t two -f x.docker sub\n"));
}

TEST(trap_21_retry_counts_attempts_timeout_minutes_and_sleep_seconds)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    (void)steps_expect(&b,
                       "script { def n = 0; retry(3) { n++; echo \"attempt ${n}\"; if (n < 3) error('again') }\n"
                       "try { retry(2) { n++; error('x') } } catch (e) { echo \"n is ${n}\" } }\n"
                       "timeout(10) { echo 'in time' }\n"
                       "script { try { timeout(time: 50, unit: 'MILLISECONDS') { sleep 1; echo 'slept' } } catch (e) { } }",
                       RESULT_SUCCESS);
    CHECK(IN_ORDER(&b, "attempt 1\n", "attempt 2\n", "attempt 3\n", "n is 5\n"));
    CHECK(logged(&b, "Timeout set to expire in 600 s\n") && logged(&b, "Sleeping for 1 s\n"));
    CHECK(strstr(strbuf_cstr(&b.log), "slept") == NULL);
}

static void
secret(struct build *b)
{
    cleanup_json struct json *j = json_parse(STR("{\"kind\":\"password\",\"username\":\"ann\",\"password\":\"s3cr3t word\"}"), NULL);

    build_init(b);
    CHECK(secrets_set(b->config.secrets_dir, "pw", j, NULL, NULL));
}
#define BINDING "withCredentials([usernamePassword(credentialsId: 'pw', usernameVariable: 'USER', passwordVariable: 'PASS')]) {\n"

TEST(trap_22_secrets_are_hidden_in_traces_too)
{
    cleanup(build_done) struct build b = {0};

    secret(&b);
    (void)steps_expect(&b, BINDING "sh 'echo \"one $PASS\"; echo two $PASS' }", RESULT_SUCCESS);
    CHECK(logged(&b, "+ echo") && logged(&b, "one ****\n") && logged(&b, "two ****\n"));
    CHECK(strstr(strbuf_cstr(&b.log), "s3cr3t") == NULL);
}

TEST(trap_23_closures_of_a_loop_share_its_variable)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "node { def one = [:], two = [:], three = [:], four = [:]; def shared = 0\n"
                   "for (i in ['a', 'b']) { one[i] = { shared++; echo \"for-in ${i}\" } }\n"
                   "for (int i = 0; i < 2; i++) { two[\"k${i}\"] = { echo \"c-style ${i}\" } }\n"
                   "for (i in ['a', 'b']) { def x = i; three[i] = { echo \"idiom ${x}\" } }\n"
                   "['a', 'b'].each { i -> four[i] = { echo \"each ${i}\" } }\n"
                   "parallel one; parallel two; parallel three; parallel four\necho \"shared ${shared}\" }",
                   RESULT_SUCCESS);
    CHECK(strstr(strbuf_cstr(&b.log), "for-in a") == NULL && logged(&b, "[b] for-in b\n") && logged(&b, "[a] for-in b\n"));
    CHECK(strstr(strbuf_cstr(&b.log), "c-style 0") == NULL && logged(&b, "c-style 2\n"));
    CHECK(logged(&b, "idiom a\n") && logged(&b, "idiom b\n") && logged(&b, "each a\n") && logged(&b, "each b\n"));
    CHECK(logged(&b, "shared 2\n"));
}

/* When the script has begun. */
static enum abort_request
abort_when_up(void *ctx)
{
    cleanup_free char *up = text_format("%s/ws/up", ((struct build *)ctx)->directory);

    return file_exists(up) ? ABORT_ASKED : ABORT_NO;
}

TEST(trap_24_who_catches_everything_catches_an_abort_and_is_aborted_all_the_same)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    b.config.abort_request = abort_when_up;
    (void)build_expect(&b, IN_STEPS("script { try { sh 'touch up; sleep 1000' } catch (Exception e) { echo 'caught' } }"), RESULT_ABORTED);
    CHECK(logged(&b, "caught\n"));
}

TEST(trap_25_failed_tests_make_a_build_unstable_and_it_goes_on)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   FILE_OF(STAGE_OF("Test", "writeFile file: 'r.xml', text: '<testsuite><testcase name=\"a\"><failure/></testcase>"
                                            "</testsuite>'\njunit 'r.xml'\necho 'after'") STAGE_OF("Next", "echo 'next'")),
                   RESULT_UNSTABLE);
    CHECK(logged(&b, "after\n") && logged(&b, "next\n"));
    CHECK_TEXT(strbuf_cstr(&b.stages), "Test=UNSTABLE\nNext=SUCCESS\n");
}

TEST(trap_26_booleans_are_booleans_in_params_and_texts_in_env)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "pipeline { agent any\nparameters { booleanParam(name: 'GO'); booleanParam(name: 'ON', defaultValue: true) }\n"
                   "stages {\n" STAGE_OF("One", "echo \"${params.GO == false} ${params.ON == true} ${env.GO == 'false'} ${env.ON == "
                                                "'true'}\"\nsh 'echo $GO $ON'\nscript { echo(env.GO ? 'a text' : 'none') }") "} }",
                   RESULT_SUCCESS);
    CHECK(logged(&b, "true true true true\n") && logged(&b, "\nfalse true\n") && logged(&b, "a text\n"));
}

TEST(trap_27_there_is_nothing_to_check_out_without_a_repository)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    b.config.in_place = false;
    b.config.script = IN_STEPS("checkout scm");
    build_live(&b);
    CHECK(file_remove_tree(b.directory, NULL));
    CHECK_TEXT(build_result_name(b.outcome.result), "FAILURE");
    CHECK(logged(&b, "'checkout scm' needs a pipeline that comes from a repository"));
}

TEST(trap_28_functions_below_the_pipeline_are_known_in_it)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b, IN_STEPS("script { echo f('x') }") "\ndef f(x) { return \"of below ${x}\" }\n", RESULT_SUCCESS);
    CHECK(logged(&b, "of below x\n"));
}

TEST(trap_29_a_stash_has_no_git_and_ends_with_its_run)
{
    cleanup(build_done) struct build b = {0}, next = {0};

    (void)run_steps(&b,
                    "sh 'mkdir -p .git sub; touch .git/x sub/y'\nstash 's'\ndir('to') { unstash 's'; sh 'find . -type f' }",
                    RESULT_SUCCESS);
    CHECK(logged(&b, "\n./sub/y\n") && strstr(strbuf_cstr(&b.log), "./.git/x") == NULL);
    (void)run_steps(&next, "script { try { unstash 's' } catch (e) { echo 'no: ' + e.message } }", RESULT_SUCCESS);
    CHECK(logged(&next, "no: "));
}

TEST(trap_30_the_path_of_the_machine_is_not_the_containers)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf said = {0};

    build_init(&b);
    cleanup_free char *tools = stand_in_docker(&b), *path = text_format("%s/said", tools);
    put_file(&b, "ws/Jenkinsfile",
             "pipeline { agent { docker 'img' }\nstages {\n" STAGE_OF("One", "withEnv(['PATH+X=/opt/x', 'A=b']) { sh 'true' }") "} }");
    live(&b, RESULT_SUCCESS);
    strbuf_add_char(&said, '\n');
    CHECK(file_read(path, 100000, &said, NULL) && file_remove_tree(b.directory, NULL));
    CHECK(strstr(strbuf_cstr(&said), "\nA\n") != NULL); /* names, whose values it takes from its own environment */
    CHECK(strstr(strbuf_cstr(&said), "\nPATH\n") == NULL && strstr(strbuf_cstr(&said), "/opt/x") == NULL);
}

TEST(trap_31_secrets_that_groovy_puts_in_are_hidden_and_warned_of)
{
    cleanup(build_done) struct build b = {0}, quiet = {0};

    secret(&b);
    (void)steps_expect(&b, BINDING "sh \"test '${PASS}' = 's3cr3t word'; echo [${USER}:${PASS}]\" }", RESULT_SUCCESS);
    CHECK(logged(&b, "[ann:****]\n") && strstr(strbuf_cstr(&b.log), "s3cr3t") == NULL);
    CHECK(logged(&b, "Warning: a secret was passed to \"sh\" by Groovy's string interpolation") && logged(&b, "Variables: [PASS]\n"));
    secret(&quiet);
    (void)steps_expect(&quiet, BINDING "sh 'echo [$USER:$PASS]' }", RESULT_SUCCESS);
    CHECK(logged(&quiet, "[ann:****]\n") && strstr(strbuf_cstr(&quiet.log), "Warning") == NULL);
}

TEST(trap_32_timestamps_begin_each_line)
{
    cleanup(build_done) struct build b = {0};
    unsigned stamped = 0;

    (void)run_file(&b,
                   "pipeline { agent any\noptions { timestamps() }\nstages {\n" STAGE_OF("One", "sh 'echo a; echo b'\necho 'c\\nd'") "} }",
                   RESULT_SUCCESS);
    for (struct str rest = strbuf_str(&b.log), line; str_split(&rest, '\n', &line);)
        stamped += line.len > 26 && line.at[0] == '[' && line.at[5] == '-' && line.at[11] == 'T' && line.at[25] == ']' &&
                   strchr("abcd", line.at[line.len - 1]) != NULL;
    CHECK(stamped >= 4);
    CHECK(strstr(strbuf_cstr(&b.log), "\nd\n") == NULL && strstr(strbuf_cstr(&b.log), "\nb\n") == NULL);
}

static bool is_asked;

static void
note_question(void *ctx, const struct json *question, bool is_over)
{
    (void)ctx, (void)question, (void)is_over;
    is_asked = true;
}
static enum abort_request
abort_when_asked(void *ctx)
{
    (void)ctx;
    return is_asked ? ABORT_ASKED : ABORT_NO;
}
static struct json *
no_answer(void *ctx, const char *step)
{
    (void)ctx, (void)step;
    return NULL;
}

TEST(trap_33_an_abort_while_people_are_asked_aborts)
{
    cleanup(build_done) struct build b = {0};
    static const struct runner_host nobody = {.question = note_question, .answer = no_answer};

    build_init(&b);
    b.config.host = &nobody;
    b.config.abort_request = abort_when_asked;
    (void)build_expect(&b, FILE_OF(STAGE_OF("Ask", "input 'Go on?'") STAGE_OF("Next", "echo 'went on'")), RESULT_ABORTED);
    CHECK(strstr(strbuf_cstr(&b.stages), "Ask=ABORTED\n") != NULL && strstr(strbuf_cstr(&b.log), "went on") == NULL);
}

TEST(trap_34_post_of_a_branch_sees_its_own_error_alone)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   FILE_OF("stage('All') { parallel {\n"
                           "stage('Bad') { steps { error 'x' }\npost { failure { echo 'bad failed' }\nsuccess { echo 'bad fine' } } }\n"
                           "stage('Good') { steps { sh 'sleep 0.3' }\npost { failure { echo 'good failed' }\nsuccess { echo 'good fine' } } "
                           "}\n}\npost { failure { echo 'all failed' } } }"),
                   RESULT_FAILURE);
    CHECK(logged(&b, "bad failed\n") && logged(&b, "good fine\n") && logged(&b, "all failed\n"));
    CHECK(strstr(strbuf_cstr(&b.log), "good failed") == NULL && strstr(strbuf_cstr(&b.log), "bad fine") == NULL);
}

TEST(trap_35_letters_of_all_kinds_come_through)
{
    cleanup(build_done) struct build b = {0};

    (void)run_steps(&b, "echo '✅ 나루 🚀'\nsh 'echo \"🎉 é\" | tee f'\nscript { echo \"read ${readFile('f').trim()}\" }",
                    RESULT_SUCCESS);
    CHECK(logged(&b, "✅ 나루 🚀\n") && logged(&b, "\n🎉 é\n") && logged(&b, "read 🎉 é\n"));
}

TEST(trap_36_lines_that_end_as_on_windows_end_as_everywhere)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf text = {0};

    for (const char *p = IN_STEPS("sh '''echo one\necho two | od -c'''\nscript { echo \"${'''a\nb'''.length()}\" }"); *p != '\0'; p++) {
        if (*p == '\n')
            strbuf_add_char(&text, '\r');
        strbuf_add_char(&text, *p);
    }
    (void)run_file(&b, strbuf_cstr(&text), RESULT_SUCCESS);
    CHECK(logged(&b, "\none\n") && logged(&b, "\n3\n") && strchr(strbuf_cstr(&b.log), '\r') == NULL);
    CHECK(strstr(strbuf_cstr(&b.log), "\\r") == NULL);
}
