/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "check.h"
#include "pipeline/groovy/interp.h"
#include "pipeline/language/jenkinsfile.h"
#include "pipeline/language/lexer.h"
#include "pipeline/language/names.h"
#include "pipeline/run/journal_value.h"
#include "pipeline/run/runner.h"
#include "pipeline/groovy/value_json.h"

/* All errors of a file, one a line; "" if it is right. */
static const char *
errors_of(const char *text)
{
    static struct strbuf out;
    struct diagnostics *d = mem_new(sizeof(*d));
    struct jenkinsfile *j = jenkinsfile_parse(str_of(text), d);

    strbuf_clear(&out);
    diagnostics_format(d, "Jenkinsfile", &out);
    CHECK((j == NULL) == (d->count > 0));
    jenkinsfile_free(j);
    free(d);
    return strbuf_cstr(&out);
}

static void
expect(const char *file, int line, const char *text, const char *want)
{
    const char *got = errors_of(text);

    if (strstr(got, want) == NULL)
        check_fail(file, line, "want '%s' in:\n%s\nof:\n%s", want, got, text);
}
#define EXPECT(text, want) expect(__FILE__, __LINE__, text, want)
#define ACCEPT(text) CHECK_TEXT(errors_of(text), "")
#define STAGE(body) "pipeline {\nagent any\nstages {\nstage('a') {\n" body "\n}\n}\n}\n"
#define STEPS(body) STAGE("steps {\n" body "\n}")
#define TOP(body) \
    "pipeline {\nagent any\n" body "\nstages { stage('a') { steps { echo 'x' } } }\n}\n"

static char result[2000];

static void *
run_thread(void *arg)
{
    const char *text = arg;
    struct arena arena = {0};
    struct interp_world world = {0};
    struct interp *in = mem_new(sizeof(*in));
    struct diagnostics *d = mem_new(sizeof(*d));
    struct node *n = syntax_parse(str_of(text), &arena, d);
    struct value v;

    if (n == NULL) {
        snprintf(result, sizeof(result), "%u:%u %s", d->items[0].line, d->items[0].column,
                 d->items[0].message);
    } else {
        interp_init(in, &arena, &world);
        interp_hoist(in, n);
        if (interp_block(in, n, &v))
            snprintf(result, sizeof(result), STR_FMT, STR_ARG(value_to_text(&arena, v)));
        else if (in->completion == COMPLETION_THROW)
            snprintf(result, sizeof(result), "!" STR_FMT, STR_ARG(in->thrown->message));
        else
            snprintf(result, sizeof(result), STR_FMT, STR_ARG(value_to_text(&arena, in->result)));
    }
    arena_done(&arena);
    free(in);
    free(d);
    return NULL;
}

/* The value of a script's last statement, as text; "!message" if it throws. */
static const char *
run(const char *text)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    CHECK(pthread_create(&thread, &attr, run_thread, (void *)(uintptr_t)text) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    return result;
}

TEST(strings_follow_their_quotes)
{
    CHECK_TEXT(run("def a = 'x'; '$a ${a} \\$'"), "$a ${a} $");
    CHECK_TEXT(run("def a = 'x'; \"$a ${a}y \\$a\""), "x xy $a");
    CHECK_TEXT(run("def m = [b: [c: 1]]; \"$m.b.c. ${m.b.c + 1}\""), "1. 2");
    CHECK_TEXT(run("'''a \\\nb\n'''"), "a b\n");
    CHECK_TEXT(run("'''a \\\\\nb'''"), "a \\\nb");
    CHECK_TEXT(run("'''a\r\nb'''"), "a\nb");
    CHECK_TEXT(run("\"\"\"a \"quoted\" ${'''x''' + \"${'y'}\"}\"\"\""), "a \"quoted\" xy");
    CHECK_TEXT(run("/a\\d\\/$/"), "a\\d/$");
    CHECK_TEXT(run("$/a $$ $/ b/$"), "a $ / b");
    CHECK_TEXT(run("'\\u00e9\\ud83d\\ude00\\t\\101'"), "\xC3\xA9\xF0\x9F\x98\x80\tA");
    CHECK_TEXT(run("\"${}\""), "null");
    CHECK_TEXT(run("def x = 8; x / 2 / 2"), "2");
}

TEST(bad_strings_name_their_place)
{
    CHECK_TEXT(
        run("def a = 1\n  sh \"x $(date)\""),
        "2:9 '$' in a double-quoted string starts an interpolation; write '\\$' or use single "
        "quotes to leave it to the shell");
    CHECK(strstr(run("\n'C:\\Program'"), "2:4 '\\P' is not an escape") != NULL);
    CHECK(strstr(run("x = 'abc\ny"), "1:5 the string that starts here does not end on its line") != NULL);
    CHECK(strstr(run("a\n  /* b"), "2:3 the comment that starts here does not end") != NULL);
    CHECK(strstr(run("a\n '''b\n\n"), "2:2 the string that starts here does not end") != NULL);
    CHECK(strstr(run("a =\xC2\xA0"
                     "1"),
                 "1:4 a non-breaking space") != NULL);
    CHECK(strstr(run("\xC3\xA9 = 'x' }"), "1:9 unexpected '}'") != NULL);
    CHECK(strstr(run("\"a ${b\n}\""), "is not closed on its line") != NULL);
    CHECK(strstr(run("'a\0b'"), "does not end") != NULL);
}

TEST(what_is_throws_needs_a_body)
{
    CHECK_TEXT(run("def f() throws A, B { 7 }\nf()"), "7");
    CHECK_TEXT(run("def f() throws A"),
               "1:17 expected '{' to open the body of a function, found the end of the file");
}

/* Statements that are told apart by what stands behind them, wherever in the window of tokens they begin. */
TEST(the_parser_looks_ahead_from_any_place)
{
    static const enum node_type types[] = {N_FOR, N_FOR_IN, N_CALL, N_METHOD, N_DECLARE, N_DECLARE_MANY};
    struct diagnostics *d = mem_new(sizeof(*d));

    for (unsigned before = 0; before < 600; before++) {
        cleanup(strbuf_done) struct strbuf text = {0};
        struct arena arena = {0};
        const struct node *n;
        for (unsigned i = 0; i < before; i++)
            strbuf_add_char(&text, ';');
        strbuf_add_cstr(&text, "for (final List<Map<String, Integer>> i = 0; i < 2; i++) { }\n"
                               "for (final List<Map<String, Integer>> i in x) { }\n"
                               "f(a) { b, List<String> c, d = 1 -> \"$e.f\" }\n"
                               "java.util.Map<String, Integer>[] g(h) throws E, F { }\n"
                               "java.util.Map<String, Integer>[] k = l[m]\n"
                               "(o, p, q) = r");
        n = syntax_parse(strbuf_str(&text), &arena, d);
        CHECK(n != NULL);
        n = n->first;
        CHECK_EQ(n->column, before + 1);
        for (size_t i = 0; i < ARRAY_COUNT(types); i++, n = n->next)
            CHECK_EQ(n->type, types[i]);
        CHECK(n == NULL);
        arena_done(&arena);
    }
    free(d);
}

/* More of them than are made at once. */
TEST(what_is_no_token_is_said_before_a_wrong_place)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_add_cstr(&text, "x = )\n");
    for (int i = 0; i < 2000; i++)
        strbuf_add_cstr(&text, "a.b()\n");
    CHECK_TEXT(run(strbuf_cstr(&text)), "1:5 unexpected ')'");
    strbuf_add_cstr(&text, "'open");
    CHECK_TEXT(run(strbuf_cstr(&text)), "2002:1 the string that starts here does not end");
}

/* As many as there are: nothing is forgotten on the way. */
TEST(names_in_brackets_are_many)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_add_cstr(&text, "def l = (0..<2000) as List\n(");
    for (int i = 0; i < 2000; i++)
        strbuf_addf(&text, "%sv%d", i == 0 ? "" : ", ", i);
    strbuf_add_cstr(&text, ") = l\nv0 + v1999");
    CHECK_TEXT(run(strbuf_cstr(&text)), "1999");
}

TEST(statements_end_where_groovy_ends_them)
{
    CHECK_TEXT(run("def a = 1 +\n 2\na"), "3");
    CHECK_TEXT(run("def a = 1\n+ 2\na"), "1");
    CHECK_TEXT(run("def a = [1, 2,\n 3,\n]\na.size()"), "3");
    CHECK_TEXT(run("def a = 'x'\n  .toUpperCase()\na"), "X");
    CHECK_TEXT(run("def a = true\n ? 1\n : 2\na"), "1");
    CHECK_TEXT(run("if (false) { 1 }\nelse { 2 }"), "2");
    CHECK_TEXT(run("def f(x)\n{ x * 2 }\nf 4"), "8");
    CHECK(strstr(run("a = 1\n&& 2"), "2:1 unexpected '&&'") != NULL);
    CHECK(strstr(run("dir 'x'\n{ }"), "2:1 a '{' on the next line is ambiguous") != NULL);
    CHECK(strstr(run("def f(m) { m }\nreturn f(a: 1)\n"), "[a:1]") != NULL);
    CHECK(strstr(run("return sh script: 'x'"), "cannot follow 'return'") != NULL);
    CHECK_TEXT(run("def f() { 1 }; def g() { 2 }; f() + g()"), "3");
    CHECK_TEXT(run("def v = 0; if (true) { v = 1 } v"), "1");
}

TEST(operators_compute_as_groovy_does)
{
    CHECK_TEXT(run("7 / 2"), "3.5");
    CHECK_TEXT(run("6 / 3"), "2");
    CHECK_TEXT(run("10 / 3"), "3.3333333333");
    CHECK_TEXT(run("1 / 0"), "!Division by zero");
    CHECK_TEXT(run("7.intdiv(2) + -5.abs()"), "-2");
    CHECK_TEXT(run("2147483647 + 1"), "-2147483648");
    CHECK_TEXT(run("1.50 + 1"), "2.50");
    CHECK_TEXT(run("1 + 2 + 'a' + 1 + 2"), "3a12");
    CHECK_TEXT(run("null + 'a'"), "nulla");
    CHECK_TEXT(run("'hello world' - 'world'"), "hello ");
    CHECK_TEXT(run("'ab' * 3"), "ababab");
    CHECK_TEXT(run("[1, '1' == 1, 1 == 1.0, null == false, \"${1}\" == '1']"),
               "[1, false, true, false, true]");
    CHECK_TEXT(run("\"${'v'}\" in ['v']"), "false");
    CHECK_TEXT(run("[('' ?: 'd'), null?.x, [1, 2, 3][-1], [1][5], 'abc'[0..1]]"),
               "[d, null, 3, null, ab]");
    CHECK_TEXT(run("(1..3).toList() + ('a'..'c')"), "[1, 2, 3, a, b, c]");
    CHECK_TEXT(run("def m = [a: 1, 'b c': 2]; m.d = 3; m['e'] = 4; m"), "[a:1, b c:2, d:3, e:4]");
    CHECK_TEXT(run("[:]"), "[:]");
    CHECK_TEXT(run("'v1.2.3' ==~ /v\\d+(\\.\\d+)*/"), "true");
    CHECK_TEXT(run("('a1b22' =~ /[0-9]+/)[1]"), "22");
    CHECK_TEXT(run("(int) 3.9"), "3");
    CHECK_TEXT(
        run("int n = 'x'"),
        "!Cannot cast object 'x' with class 'java.lang.String' to class 'java.lang.Integer'");
    CHECK_TEXT(run("null.foo()"), "!Cannot invoke method foo() on null object");
    CHECK_TEXT(run("def a = null\na.foo"), "!Cannot get property 'foo' on null object");
    CHECK_TEXT(run("1 < 'a'"), "!cannot compare java.lang.Integer with java.lang.String");
}

TEST(methods_do_what_their_names_say)
{
    CHECK_TEXT(run("' x '.trim() + 'abc'.take(2) + 'a-b'.replace('-', '+')"), "xaba+b");
    CHECK_TEXT(run("'a,b,,'.split(',').size()"), "2");
    CHECK_TEXT(run("'a.b'.split('.').size()"), "0");
    CHECK_TEXT(run("'a.b'.tokenize('.')"), "[a, b]");
    CHECK_TEXT(run("'a1b2'.replaceAll('([0-9])', '<$1>')"), "a<1>b<2>");
    CHECK_TEXT(run("[3, 1, 2].sort().join('-')"), "1-2-3");
    CHECK_TEXT(run("[1, 2, 3].collect { it * 2 }.findAll { it > 2 }"), "[4, 6]");
    CHECK_TEXT(run("[a: 1, b: 2].collect { k, v -> k + v }"), "[a1, b2]");
    CHECK_TEXT(run("def s = 0; [1, 2].each { s += it }; s"), "3");
    CHECK_TEXT(run("['a', 'b']*.toUpperCase()"), "[A, B]");
    CHECK_TEXT(run("def m = [:]; m.get('x', 5); m"), "[x:5]");
    CHECK_TEXT(run("'abc'.substring(5)"), "!begin 5, end 3, length 3");
    CHECK_TEXT(run("'x'.frobnicate()"),
               "!No signature of method: java.lang.String.frobnicate() is applicable for argument "
               "types: () values: []");
    CHECK_TEXT(run("\"a$b.size()\""), "!No such property: b for class: groovy.lang.Binding");
}

TEST(control_flow_and_scope)
{
    CHECK_TEXT(run("def x = 1\ndef f() { x }\nf()"), "!No such property: x for class: groovy.lang.Binding");
    CHECK_TEXT(run("x = 1\ndef f() { x }\nf()"), "1");
    CHECK_TEXT(run("def f(a, b = 2) { a + b }\n[f(1), f(1, 1)]"), "[3, 2]");
    CHECK_TEXT(run("def r = []\nfor (i in 1..3) { if (i == 2) continue; r << i }\nr"), "[1, 3]");
    CHECK_TEXT(run("def r = []\nfor (int i = 0; i < 9; i++) { if (i == 2) break; r << i }\nr"),
               "[0, 1]");
    CHECK_TEXT(run("def r = [:]\nfor (i in [1, 2]) { r[i] = { -> i } }\n[r[1](), r[2]()]"),
               "[2, 2]");
    CHECK_TEXT(run("def r = []\n[1, 2].each { i -> r << { -> i } }\nr.collect { it() }"), "[1, 2]");
    CHECK_TEXT(
        run("switch ('b') { case 'a': return 1\ncase ['b', 'c']: return 2\ndefault: return 3 }"),
        "2");
    CHECK_TEXT(
        run("def r = ''\ntry { throw new Exception('m') } catch (e) { r += e.message } finally "
            "{ r += '!' }\nr"),
        "m!");
    CHECK_TEXT(run("try { throw new Exception('m') } catch (IOException e) { 1 }"), "!m");
    CHECK_TEXT(run("def (a, b) = [1, 2]\na + b"), "3");
    CHECK_TEXT(run("def i = 0\nwhile (true) { if (++i > 4) break }\ni"), "5");
    CHECK_TEXT(run("def f(n) { n < 2 ? 1 : n * f(n - 1) }\nf(5)"), "120");
    CHECK_TEXT(run("assert 1 == 2 : 'no'"), "!no. Expression: 1 == 2");
    CHECK(strstr(run("def f() { f() }\nf()"), "too deeply") != NULL);
    CHECK(strstr(run("new File('/etc/passwd')"), "class 'File' is not available") != NULL);
    CHECK(strstr(run("'id'.execute()"), "Scripts not permitted to use method String execute()") != NULL);
}

TEST(depth_and_length_have_limits)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    for (int i = 0; i < 5000; i++)
        strbuf_add_char(&b, '(');
    CHECK(strstr(run(strbuf_cstr(&b)), "nested too deeply") != NULL);
    strbuf_clear(&b);
    for (int i = 0; i < 100000; i++)
        strbuf_add_cstr(&b, "1+");
    CHECK(strstr(run(strbuf_cstr(&b)), "too long") != NULL);
    strbuf_clear(&b);
    for (int i = 0; i < 400; i++)
        strbuf_add_cstr(&b, "1 + ");
    strbuf_add_cstr(&b, "1");
    CHECK_TEXT(run(strbuf_cstr(&b)), "401");
    strbuf_clear(&b);
    for (int i = 0; i < 40; i++)
        strbuf_add_cstr(&b, "\"${");
    CHECK(strstr(run(strbuf_cstr(&b)), "nested too deeply") != NULL);
    CHECK(strstr(run("def l = 'x' * 16000000\nl + l"), "too long") != NULL);
    CHECK(strstr(run("def l = [1]\nwhile (true) { l = l + l }"), "too large") != NULL);
    CHECK(strstr(run("def l = 'x' * 1000000\nwhile (true) { def m = l + 'y' }"), "MiB") != NULL);
    CHECK(strstr(run("([[1, 2]] * 40).combinations()"), "MiB") != NULL);
    CHECK(strstr(run("([1..50000] * 50000).transpose()"), "MiB") != NULL);
    CHECK(strstr(run("('a' * 99999) =~ ('()' * 300 + 'a')"), "MiB") != NULL);
}

TEST(classes_that_are_not_ready_are_no_crash)
{
    CHECK_TEXT(run("enum E { A, B\nint n = E.values().size() }\n[E.A.n, E.values().size()]"),
               "[0, 2]");
    CHECK_TEXT(run("enum E { A\nE() { throw new Exception('x') } }\ntry { E.A } catch (e) { "
                   "}\nE.values()"),
               "[]");
    CHECK(strstr(run("super = 1\nsuper()"), "must be the first statement") != NULL);
    CHECK(strstr(run("class A { }\nclass B extends A { def f() { super = 5; super() } }\n"
                     "new B().f()"),
                 "must be the first statement") != NULL);
    CHECK(strstr(run("class A { }\nclass B extends A { B() { super(); super() } }\nnew B()"),
                 "must be the first statement") != NULL);
}

TEST(each_word_is_found_among_those_of_its_letter)
{
    static const char *const words[] = {
#define X(name, text, kind) text,
        WORDS(X)
#undef X
    };
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(arena_done) struct arena arena = {0};
    struct diagnostics *d = mem_new(sizeof(*d));
    struct lexer lexer;

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        CHECK(i == 0 || strcmp(words[i - 1], words[i]) < 0);
        strbuf_addf(&text, "%s ", words[i]);
    }
    CHECK(lexer_begin(&lexer, strbuf_str(&text), &arena, d));
    lexer_fill(&lexer, 0, ARRAY_COUNT(words) + 1);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        CHECK_EQ(lexer.tokens[i + 1].word, WORD_NONE + 1 + i);
    lexer_done(&lexer);
    free(d);
}

TEST(what_holds_itself_is_no_way_without_end)
{
    CHECK_TEXT(run("def l = [1]\nl << l\nl == l"), "true");
    CHECK_TEXT(run("def l = []\nl << l\n[:].get(l, 1)"), "1");
    CHECK(strstr(run("def l = []\nl << l\nl.name"), "too deeply") != NULL);
    CHECK(strstr(run("def l = []\nl << l << l\n\"${l}\""), "too long") != NULL);
    CHECK(strstr(run("def m = [:]\nm.a = m\nm.b = m\n'' + m"), "too long") != NULL);
    CHECK(strstr(run("def l = []\nl << l << l\nl.flatten()"), "too large") != NULL);
    CHECK(strstr(run("def l = []\nl << l << l\nl.hashCode()"), "too large for hashCode()") != NULL);
    /* Small, and without end for who walks it: each holds the one before it twice. */
    CHECK(strstr(run("def a = [], b = []\n50.times { a = [a, a]; b = [b, b] }\na == b"),
                 "too large to be compared") != NULL);
    CHECK(strstr(run("def a = []\n50.times { a = [a, a] }\na.flatten()"), "too large") != NULL);
    CHECK(strstr(run("def a = []\n50.times { a = [a, a] }\ngroovy.json.JsonOutput.toJson(a)"),
                 "too long") != NULL);
}

TEST(what_is_small_is_not_written_large)
{
    cleanup(arena_done) struct arena a = {0};
    struct value v = value_list(&a);
    struct json *j;

    for (int i = 0; i < 20; i++) { /* as a YAML file of a few lines has it */
        struct value two = value_list(&a);
        list_add(&a, two.list, v);
        list_add(&a, two.list, v);
        v = two;
    }
    CHECK(!journal_value_write(v, &j));
    CHECK(!value_to_json(&a, v, &j));
}

TEST(a_long_text_that_stands_in_a_list_many_times_is_not_written_each_time)
{
    enum { MIB = 1 << 20 };
    cleanup(arena_done) struct arena a = {0};
    struct value list = value_list(&a), map = value_map(&a);
    char *text = arena_alloc(&a, MIB);
    struct json *j;

    memset(text, 'x', MIB);
    for (int i = 0; i < 61; i++)
        list_add(&a, list.list, value_text((struct str){text, MIB}));
    CHECK(journal_value_write(list, &j));
    json_unref(j);
    list_add(&a, list.list, list.list->at[0]);
    CHECK(!journal_value_write(list, &j));
    CHECK(!value_to_json(&a, list, &j));
    for (int i = 0; i < 62; i++)
        list.list->at[i] = map;
    map_put(&a, map.map, value_text((struct str){text, MIB}), value_null());
    CHECK(!journal_value_write(list, &j));
    CHECK(!value_to_json(&a, list, &j));
}

TEST(the_journal_gives_back_what_the_step_build_gives)
{
    cleanup(arena_done) struct arena a = {0};
    struct value build = value_record(&a, "RunWrapper", value_text(STR("lib #7"))), variables = value_map(&a), back;
    struct json *j;

    map_put_text(&a, variables.map, "WHO", value_text(STR("me")));
    map_put_text(&a, build.object->fields, "number", value_int(7));
    map_put_text(&a, build.object->fields, "buildVariables", variables);
    CHECK(journal_value_write(build, &j));
    CHECK(journal_value_read(&a, j, &back));
    json_unref(j);
    CHECK(value_is_object(back, "RunWrapper") && back.object->is_record);
    CHECK_EQ(map_find_text(back.object->fields, "number")->number, 7);
    CHECK(str_is(map_find_text(back.object->fields, "$name")->text, "lib #7"));
    CHECK(str_is(map_find_text(map_find_text(back.object->fields, "buildVariables")->map, "WHO")->text, "me"));
    CHECK(!journal_value_write(value_object(&a, "Date"), &j));
}

TEST(the_journal_gives_back_the_numbers_it_got)
{
    static const char *const numbers[] = {"5",    "-3000000000",           "1180591620717411303424",
                                          "1.50", "-0.1234567890123456789", "1E+30", "1E-2000000000"};
    cleanup(arena_done) struct arena a = {0};

    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        for (int is_big = 0; is_big < 2; is_big++) {
            cleanup_json struct json *j = NULL, *again = NULL;
            cleanup_free char *text = NULL;
            struct err err;
            struct value v, back;
            CHECK(value_of_number(&a, str_of(numbers[i]), &v));
            if (is_big && v.type != V_DECIMAL)
                v.type = V_BIG;
            CHECK(journal_value_write(v, &j));
            text = json_format(j);
            again = json_parse(str_of(text), &err);
            CHECK(journal_value_read(&a, again, &back));
            CHECK(value_same_key(v, back));
            CHECK_TEXT(value_to_text(&a, back).at, numbers[i]);
        }
}

TEST(right_pipelines_are_accepted)
{
    ACCEPT(STEPS("sh 'make'"));
    ACCEPT("#!/usr/bin/env groovy\n// c\npipeline\n{\n agent { label 'x' }\n stages\n {\n "
           "stage('a')\n {\n steps\n {\n echo 'x'\n }}}}");
    ACCEPT(TOP("environment { A = \"${B}x\"\nB = 'y'\nC = credentials('id')\nD = sh(script: 'x', "
               "returnStdout: true).trim()\nE = 'a' + 1 }"));
    ACCEPT(TOP("options { timeout(time: 1, unit: 'HOURS'); timestamps(); "
               "buildDiscarder(logRotator(numToKeepStr: '5')) }\nparameters { string(name: 'X', "
               "defaultValue: 'y')\nbooleanParam(name: 'B', defaultValue: true) }\ntriggers { "
               "cron('H * * * *') }\ntools { maven '3' }"));
    ACCEPT(STAGE("when { branch 'main'\nnot { tag 'x' }\nexpression { return params.X } }\nsteps { "
                 "script { def x = 1; if (x) { echo \"$x\" } } }\npost { always { echo 'x' } "
                 "\ncleanup { deleteDir() } }"));
    ACCEPT(
        STAGE("parallel { stage('x') { steps { echo '1' } }\nstage('y') { steps { echo '2' } } }"));
    ACCEPT(STEPS("unknownStep foo: 1\nwithCredentials([usernamePassword(credentialsId: 'a', "
                 "usernameVariable: 'U', passwordVariable: 'P')]) { sh 'x' }"));
    ACCEPT("node { stage('x') { sh 'y' } }");
    ACCEPT("def helper() { 1 }\n" STEPS("echo 'x'") "\ndef later(a) { a }\n");
}

TEST(wrong_pipelines_name_the_rule_and_the_place)
{
    EXPECT(
        "pipeline { stages { stage('a') { steps { echo 'x' } } } }",
        "Jenkinsfile:1:1: the pipeline needs an agent, for example: agent any [E-MISSING-AGENT]");
    EXPECT("pipeline { agent any }", "[E-MISSING-STAGES]");
    EXPECT("pipeline { agent any\nstages { } }", "[E-NO-STAGES]");
    EXPECT("pipeline { agent any stages { stage('a') { steps { echo 'x' } } } }", "E-");
    EXPECT(STAGE(""), "4:1: stage 'a' needs one of steps, stages, parallel or matrix [E-NO-BODY]");
    EXPECT(STAGE("steps { }"), "[E-NO-STEPS]");
    EXPECT(STAGE("steps { echo 'x' }\nparallel { stage('b') { steps { echo 'x' } } }"),
           "[E-TWO-BODIES]");
    EXPECT(STAGE("foo { }"), "5:1: 'foo' is not a section of a stage [E-UNKNOWN-STAGE-SECTION]");
    EXPECT(STAGE("agent\nsteps { echo 'x' }"), "[E-SECTION-DEF]");
    EXPECT(STAGE("steps { echo 'x' }\nsteps { echo 'x' }"), "6:1: 'steps' stands twice");
    EXPECT("pipeline { agent any\nstages { stage('a') { steps { echo 'x' } }\nstage('a') { steps { "
           "echo 'x' } } } }",
           "3:1: stage 'a' stands twice (first on line 2) [E-DUP-STAGE]");
    EXPECT("pipeline { agent any\nstages { stage(\"a${1}\") { steps { echo 'x' } } } }",
           "[E-STAGE-NAME-LITERAL]");
    EXPECT(TOP("notifications { }"), "'notifications' is called 'post' now [E-RENAMED]");
    EXPECT(STEPS("def x = 1"), "[E-STEP-EXPECTED]");
    EXPECT(STEPS("if (true) { echo 'x' }"), "[E-STEP-EXPECTED]");
    EXPECT(STEPS("docker.build('x')"), "[E-OBJECT-CALL]");
    EXPECT(STEPS("stage('b') { echo 'x' }"), "[E-BLOCKED-STEP]");
    EXPECT(STEPS("sh ${X}"), "[E-BARE-DOLLAR]");
    EXPECT(STEPS("sh(scrpt: 'x')"),
           "'sh' has no argument 'scrpt'; did you mean 'script'? [E-STEP-PARAM]");
    EXPECT(STEPS("sh()"), "'sh' needs 'script' [E-STEP-MISSING-PARAM]");
    EXPECT(STEPS("sh(script: 'x', returnStdout: 'yes')"), "must be true or false [E-PARAM-TYPE]");
    EXPECT(STEPS("sh('x', returnStdout: true)"), "[E-MIXED-ARGS]");
    EXPECT(STEPS("echo 'a', 'b'"), "[E-UNNAMED-ARGS]");
    EXPECT(STEPS("retry('3') { echo 'x' }"), "[E-PARAM-TYPE]");
    EXPECT(STEPS("timeout(time: 99999999999999999999) { echo 'x' }"), "[E-BIGINT]");
    EXPECT(STEPS("dir('x') { y = 1 }"), "[E-STEP-EXPECTED]");
    EXPECT(TOP("environment { }"), "[E-EMPTY-ENV]");
    EXPECT(TOP("environment { A = params.B }"), "[E-ENV-VALUE]");
    EXPECT(TOP("environment { A = b ? 1 : 2 }"), "[E-ENV-VALUE]");
    EXPECT(TOP("environment { A = 'x' + B }"), "[E-ENV-CONCAT]");
    EXPECT(TOP("environment { A = 1\nA = 2 }"), "[E-DUP-ENV]");
    EXPECT(TOP("environment { echo 'x' }"), "[E-ENV-NV]");
    EXPECT(TOP("environment { A = ${env.B} }"), "[E-BARE-DOLLAR]");
    EXPECT(TOP("post { sometimes { echo 'x' } }"), "[E-POST-CONDITION]");
    EXPECT(TOP("post { always { } }"), "[E-NO-STEPS]");
    EXPECT(TOP("options { timout(1) }"), "[E-UNKNOWN-TYPE]");
    EXPECT(TOP("options { parameters { } }"), "[E-PARAMS-TRIGGERS-IN-OPTIONS]");
    EXPECT(STAGE("options { buildDiscarder(x) }\nsteps { echo 'x' }"), "[E-UNKNOWN-TYPE]");
    EXPECT(STAGE("when { }\nsteps { echo 'x' }"), "[E-EMPTY-WHEN]");
    EXPECT(STAGE("when { brunch 'x' }\nsteps { echo 'x' }"), "[E-UNKNOWN-WHEN]");
    EXPECT(STAGE("when { not { branch 'a'\nbranch 'b' } }\nsteps { echo 'x' }"),
           "[E-WHEN-CHILD-COUNT]");
    EXPECT(STAGE("parallel { stage('x') { parallel { stage('y') { steps { echo 'x' } } } } }"),
           "[E-NESTED-PARALLEL]");
    EXPECT(
        "pipeline { agent { docker { args 'x' } }\nstages { stage('a') { steps { echo 'x' } } } }",
        "[E-AGENT-MISSING-PARAM]");
    EXPECT("pipeline { agent foo\nstages { stage('a') { steps { echo 'x' } } } }",
           "[E-INVALID-AGENT]");
    EXPECT("node { pipeline { agent any } }", "[E-PIPELINE-NOT-TOP]");
    EXPECT(STEPS("echo 'x'\n}"), "[E-SYNTAX]");
    EXPECT("", "[E-EMPTY]");
}

TEST(all_errors_are_reported_at_once)
{
    const char *got = errors_of(STEPS("sh()\necho()\ndocker.x()"));

    CHECK(strstr(got, "6:1:") != NULL && strstr(got, "7:1:") != NULL &&
          strstr(got, "8:1:") != NULL);
    /* From the top of the file to its end, whatever was checked first. */
    got = errors_of("pipeline {\nstages {\nstage('a') {\nsteps {\nsh()\n}\n}\n}\npostt { }\n}");
    CHECK(str_starts(str_of(got), STR("Jenkinsfile:1:1:")));
    CHECK(strstr(got, "9:1:") != NULL && strstr(got, "5:1:") < strstr(got, "9:1:"));
}

/* The longest row of places in a table that are taken: what a look-up may have to walk. */
static size_t
longest_row(const struct names *names)
{
    size_t longest = 0, row = 0;

    for (size_t i = 0; i < names->size; i++) {
        row = names->at[i].what != NULL ? row + 1 : 0;
        longest = row > longest ? row : longest;
    }
    return longest;
}

/* Of a hash that everybody can compute, FNV-1a, these all have the same last bits. */
static bool
is_crafted(struct str name)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.at[i]) * 0x100000001b3u;
    return ((h ^ h >> 32) & 0x1ff) == 0;
}

TEST(crafted_names_do_not_all_fall_into_one_place)
{
    struct names crafted = {0}, zeroed = {0};
    cleanup(arena_done) struct arena a = {0};
    unsigned count = 0;

    for (unsigned i = 0; count < 600; i++) {
        char name[16];
        const struct str s = {name, (size_t)snprintf(name, sizeof(name), "V%u", i)};

        if (!is_crafted(s))
            continue;
        CHECK(names_add(&a, &crafted, arena_dup(&a, s), "first") == NULL);
        count++;
    }
    CHECK(longest_row(&crafted) < 60);

    for (unsigned i = 0; i < 600; i++) { /* the word that made a factor of the hash 0 */
        char *name = arena_format(&a, "V%07u\x4f\xeb\xd4\x27\x3d\xae\xb2\xc2", i);

        CHECK(names_add(&a, &zeroed, str_of(name), "first") == NULL);
    }
    CHECK(longest_row(&zeroed) < 60);
}

static int64_t
checking_takes_us(const char *head, const char *first, const char *second)
{
    static struct diagnostics d;
    cleanup(strbuf_done) struct strbuf text = {0};
    clock_t start;

    strbuf_add_cstr(&text, head);
    while (text.len < 60000)
        strbuf_add_cstr(&text, first);
    while (text.len < 120000)
        strbuf_add_cstr(&text, second);
    strbuf_add_cstr(&text, "}\nstages { stage('a') { steps { echo 'x' } } } }\n");
    d.count = 0;
    start = clock();
    CHECK(jenkinsfile_parse(strbuf_str(&text), &d) == NULL);
    CHECK(d.count > 10000);
    return (int64_t)(clock() - start) * 1000000 / CLOCKS_PER_SEC;
}

/* Each that stood twice was compared with all before the first of its kind. */
TEST(entries_are_checked_in_time_that_grows_with_their_block)
{
    const char *options = "pipeline { agent any\noptions {\n", *post = "pipeline { agent any\npost {\n";
    const int64_t plain = checking_takes_us(options, "a.b()\n", "a.b()\n");

    CHECK(checking_takes_us(options, "a.b()\n", "retry(1)\n") < 5 * plain);
    CHECK(checking_takes_us(post, "a.b()\n", "always{a()}\n") < 5 * plain);
}
