/* SPDX-License-Identifier: MIT */
/* Groovy by example: groovy/<name>.txt holds scripts, each followed by "=> " and the text of its
 * value ("!message" if it throws; the beginning is enough), and a line "---".  A line "# ..." names
 * the section of the rule. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "io/file.h"
#include "pipeline/groovy/interp.h"
#include "pipeline/run/runner.h"

#define STEPS_MAX 3000000
#define STEPS_FEW 300000

struct script {
    struct str text;
    unsigned steps_max;
    struct strbuf result;
};

static unsigned wrong; /* cases of this file */

static void *
run_thread(void *arg)
{
    struct script *s = arg;
    struct interp_world world = {.ctx = s};
    struct diagnostics *d = mem_new(sizeof(*d));
    struct interp *in = mem_new(sizeof(*in));
    struct arena arena = {0};
    struct node *n = syntax_parse(s->text, &arena, d);
    struct value v;
    struct str text;

    if (n == NULL) {
        strbuf_addf(&s->result, "!%u:%u %s", d->items[0].line, d->items[0].column,
                    d->items[0].message);
    } else {
        interp_init(in, &arena, &world);
        in->evaluations_max = s->steps_max;
        interp_hoist(in, n);
        if (!interp_block(in, n, &v) && in->completion == COMPLETION_RETURN) {
            v = in->result;
            in->completion = COMPLETION_NONE;
        }
        if (in->completion == COMPLETION_NONE && interp_to_text(in, n, v, &text))
            strbuf_add(&s->result, text);
        else
            strbuf_addf(&s->result, "!" STR_FMT, STR_ARG(in->thrown->message));
    }
    arena_done(&arena);
    free(in);
    free(d);
    return NULL;
}

static void
run_case(const char *name, unsigned line, struct str script, struct str want, unsigned steps_max)
{
    struct script s = {.text = script, .steps_max = steps_max};
    struct str got, message;
    pthread_attr_t attr;
    pthread_t thread;
    ptrdiff_t space;
    bool right;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    CHECK(pthread_create(&thread, &attr, run_thread, &s) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    got = strbuf_str(&s.result);
    right = str_equal(got, want);
    if (!right && str_starts(want, STR("!"))) { /* with or without the place */
        space = str_index(got, ' ');
        message = str_slice(want, 1, want.len);
        right = str_starts(got, want) ||
                (str_starts(got, STR("!")) && space > 0 &&
                 str_starts(str_slice(got, (size_t)space + 1, got.len), message));
    }
    if (!right)
        printf("%s:%u: want\n" STR_FMT "\ngot\n" STR_FMT "\nof\n" STR_FMT "\n", name, line,
               STR_ARG(want), STR_ARG(got), STR_ARG(script));
    wrong += !right;
    strbuf_done(&s.result);
}

static void
run_file(const char *name, unsigned steps_max)
{
    cleanup_free char *path = text_format("%s/groovy/%s", SOURCE_DIR, name);
    cleanup(strbuf_done) struct strbuf text = {0}, script = {0}, want = {0};
    struct str rest, line;
    unsigned number = 0, first = 0, cases = 0;
    bool in_want = false;
    struct err err;

    CHECK(file_read(path, 1 << 20, &text, &err));
    rest = strbuf_str(&text);
    while (str_split(&rest, '\n', &line)) {
        number++;
        if (str_is(line, "---")) {
            run_case(name, first, strbuf_str(&script), strbuf_str(&want), steps_max);
            cases++;
            strbuf_clear(&script);
            strbuf_clear(&want);
            in_want = false;
        } else if (str_starts(line, STR("=> "))) {
            strbuf_add(&want, str_slice(line, 3, line.len));
            in_want = true;
        } else if (in_want) {
            strbuf_addf(&want, "\n" STR_FMT, STR_ARG(line));
        } else if (!str_starts(line, STR("# "))) {
            first = script.len == 0 ? number : first;
            strbuf_addf(&script, "%s" STR_FMT, script.len == 0 ? "" : "\n", STR_ARG(line));
        }
    }
    CHECK_EQ(script.len + want.len, 0); /* the last one ends, too, and was run */
    CHECK(cases > 40);
    CHECK_EQ(wrong, 0);
}

TEST(strings_and_their_methods)
{
    run_file("strings.txt", STEPS_MAX);
}
TEST(numbers_and_truth)
{
    run_file("numbers.txt", STEPS_MAX);
}
TEST(numbers_of_any_size)
{
    run_file("exact.txt", STEPS_MAX);
}
TEST(lists_maps_and_ranges)
{
    run_file("collections.txt", STEPS_MAX);
}
TEST(statements_scope_closures_classes)
{
    run_file("language.txt", STEPS_MAX);
}
TEST(scripts_that_groovy_ran)
{
    run_file("compared.txt", STEPS_MAX);
}
TEST(budgets_hold_inside_of_methods)
{
    run_file("budgets.txt", STEPS_FEW);
}

TEST(every_method_of_the_reference_has_an_example)
{
    run_file("methods.txt", STEPS_MAX);
}
