/* SPDX-License-Identifier: MIT */
#include "pipeline/test_history.h"

#include "base/log.h"
#include "io/file.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

/* A build and the tests it had, by name. */
struct past {
    int64_t number;
    char commit[41];
    struct json *tests; /* {name: "P"}; NULL: not read, or it had none */
};

struct history {
    struct past builds[TEST_BUILDS_MAX + 1]; /* the first is the build itself */
    size_t count;
};

static void
history_done(struct history *h)
{
    for (size_t i = 0; i < h->count; i++)
        json_unref(h->builds[i].tests);
}

static struct json *
read_steps(struct pipeline_room *room, const char *pipeline, int64_t number)
{
    cleanup_free char *directory = build_directory(room->config.data_dir, pipeline, number);
    cleanup_free char *path = text_format("%s/tests.json", directory);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct json *j = NULL;
    struct err err;

    if (!file_exists(path))
        return NULL;
    (void)err_set(&err, ERR_INTERNAL, "it is not an object");
    if (file_read(path, FILE_BYTES_MAX, &text, &err))
        j = json_parse(strbuf_str(&text), &err);
    if (json_type(j) == JSON_OBJECT)
        return j;
    log_warn("pipeline.tests", "path=%s error=%s", path, log_quote(err.message));
    json_unref(j);
    return NULL;
}

/* Of a test that several steps found the worst counts. */
static struct json *
by_name(const struct json *steps)
{
    static const char *const order = "SPKF";
    struct json *all = json_object();

    for (void *s = json_first(steps); s != NULL; s = json_next(steps, s)) {
        const struct json *cases = json_value(s);
        for (void *c = json_first(cases); c != NULL; c = json_next(cases, c)) {
            const char *now = json_cstr(json_value(c), "P");
            const char *before = json_get_cstr(all, json_key(c), "S");
            if (json_get(all, json_key(c)) == NULL || strchr(order, *now) > strchr(order, *before))
                json_set(all, json_key(c), json_text(now));
        }
    }
    return all;
}

/* The build and those of its branch before it that have tests. */
static bool
history_read(struct pipeline_room *room, const char *pipeline, int64_t number, struct history *h)
{
    const struct pipeline *p;
    const struct build *b = NULL;
    size_t with_tests = 0;

    *h = (struct history){0};
    room_lock(room);
    p = pipeline_store_find(&room->store, pipeline);
    for (size_t i = 0; p != NULL && i < p->build_count; i++)
        if (p->builds[i]->number == number)
            b = p->builds[i];
    for (; b != NULL && h->count < ARRAY_COUNT(h->builds); b = pipeline_previous(p, b, false)) {
        struct past *one = &h->builds[h->count++];
        one->number = b->number;
        (void)text_copy(one->commit, sizeof(one->commit), str_of(b->commit));
    }
    room_unlock(room);
    for (size_t i = 0; i < h->count; i++) {
        cleanup_json struct json *steps = read_steps(room, pipeline, h->builds[i].number);
        if (steps == NULL && i > 0)
            continue;
        h->builds[with_tests] = h->builds[i];
        h->builds[with_tests++].tests = by_name(steps);
    }
    h->count = with_tests;
    return with_tests > 0;
}

static char
status_in(const struct past *p, const char *name)
{
    return json_get_cstr(p->tests, name, "-")[0];
}

static bool
has_passed(char status)
{
    return status == 'P' || status == 'K';
}

/* In the last build before that had it; '-': in none. */
static char
status_before(const struct history *h, const char *name)
{
    for (size_t i = 1; i < h->count; i++)
        if (status_in(&h->builds[i], name) != '-')
            return status_in(&h->builds[i], name);
    return '-';
}

static bool
is_flaky(const struct history *h, const char *name, char now)
{
    if (now == 'K')
        return true;
    for (size_t i = 1; i < h->count; i++) {
        const char then = status_in(&h->builds[i], name);
        if (strcmp(h->builds[i].commit, h->builds[0].commit) == 0 &&
            ((now == 'F' && has_passed(then)) || (has_passed(now) && then == 'F')))
            return true;
    }
    return false;
}

/* ---- what is told of them ---- */

static void
add_name(struct json *to, const char *list, const char *name)
{
    struct json *names = json_get(to, list);

    if (names == NULL) {
        names = json_array();
        json_set(to, list, names);
    }
    if (json_size(names) < TEST_NAMES_MAX)
        json_append(names, json_text(name));
}

struct counts {
    int64_t total, failed, skipped, newly, fixed, flaky;
};

/* Names by list in `names`, if it is not NULL. */
static struct counts
judge(const struct history *h, struct json *names)
{
    const struct json *tests = h->builds[0].tests;
    struct counts c = {0};

    for (void *it = json_first(tests); it != NULL; it = json_next(tests, it)) {
        const char *name = json_key(it);
        const char now = status_in(&h->builds[0], name), then = status_before(h, name);
        const bool is_new = now == 'F' && (has_passed(then) || then == 'S');
        const bool is_fixed = has_passed(now) && then == 'F';
        const bool flaky = is_flaky(h, name, now);
        c.newly += is_new;
        c.fixed += is_fixed;
        c.flaky += flaky;
        if (now == 'F')
            add_name(names, "failed", name);
        if (is_new)
            add_name(names, "newlyFailing", name);
        if (is_fixed)
            add_name(names, "fixed", name);
        if (flaky)
            add_name(names, "flaky", name);
    }
    return c;
}

static void
count_cases(const struct json *steps, struct counts *c)
{
    for (void *s = json_first(steps); s != NULL; s = json_next(steps, s)) {
        const struct json *cases = json_value(s);
        for (void *it = json_first(cases); it != NULL; it = json_next(cases, it)) {
            const char status = json_cstr(json_value(it), "P")[0];
            c->total++;
            c->failed += status == 'F';
            c->skipped += status == 'S';
        }
    }
}

static struct json *
counts_to_json(const struct counts *c)
{
    struct json *j = json_object();

    json_set(j, "total", json_int(c->total));
    json_set(j, "passed", json_int(c->total - c->failed - c->skipped));
    json_set(j, "failed", json_int(c->failed));
    json_set(j, "skipped", json_int(c->skipped));
    json_set(j, "newlyFailing", json_int(c->newly));
    json_set(j, "fixed", json_int(c->fixed));
    json_set(j, "flaky", json_int(c->flaky));
    return j;
}

static void
write_steps(struct pipeline_room *room, const struct build *b, const struct json *steps)
{
    cleanup_free char *directory = build_directory(room->config.data_dir, b->pipeline, b->number);
    cleanup_free char *path = text_format("%s/tests.json", directory), *text = json_format(steps);
    struct err err;

    if (!file_write_atomic(path, str_of(text), 0640, &err))
        log_error("pipeline.tests", "error=%s", log_quote(err.message));
}

/* How many of a step's results there was no room for is beside them, as a number. */
static void
put_not_kept(struct json *steps, const char *step, int64_t count)
{
    cleanup_free char *name = text_format("notKept %s", step);

    json_delete(steps, name);
    if (count > 0)
        json_set(steps, name, json_int(count));
}

static int64_t
all_not_kept(const struct json *steps)
{
    int64_t count = 0;

    for (void *s = json_first(steps); s != NULL; s = json_next(steps, s))
        if (json_type(json_value(s)) == JSON_INT)
            count += json_i64(json_value(s), 0);
    return count;
}

/* Of a step that is done again the new ones count; of all steps together TESTS_MAX. Gives how many of
 * the step are kept. */
static size_t
put_cases(struct json *steps, const char *step, const struct json *cases)
{
    struct json *kept = json_object();
    size_t count = 0;

    json_delete(steps, step);
    for (void *s = json_first(steps); s != NULL; s = json_next(steps, s))
        count += json_size(json_value(s));
    for (void *c = json_first(cases); c != NULL && count < TESTS_MAX; c = json_next(cases, c)) {
        json_set(kept, json_key(c), json_ref(json_value(c)));
        count++;
    }
    json_set(steps, step, kept);
    return json_size(kept);
}

struct json *
room_tests(struct pipeline_room *room, struct build *b, const char *step, const struct json *cases,
           int64_t total)
{
    cleanup_json struct json *steps = read_steps(room, b->pipeline, b->number);
    struct json *names = json_object();
    struct counts c = {0};
    struct history h;
    int64_t not_kept;

    if (steps == NULL)
        steps = json_object();
    not_kept = total - (int64_t)put_cases(steps, step, cases);
    put_not_kept(steps, step, not_kept);
    write_steps(room, b, steps);
    if (history_read(room, b->pipeline, b->number, &h)) {
        json_unref(h.builds[0].tests); /* in any case, the disk may be full */
        h.builds[0].tests = by_name(steps);
        c = judge(&h, names);
    }
    history_done(&h);
    count_cases(steps, &c);
    room_lock(room);
    json_set(names, "notKept", json_int(not_kept));
    not_kept = all_not_kept(steps);
    json_unref(b->tests);
    b->tests = counts_to_json(&c);
    if (not_kept > 0)
        json_set(b->tests, "notKept", json_int(not_kept));
    room_save(room, b);
    room_unlock(room);
    return names;
}

/* ---- the API ---- */

static const char *
word_of(char status)
{
    return status == 'F' ? "FAILED" : status == 'S' ? "SKIPPED" : status == 'K' ? "FLAKY" : "PASSED";
}

/* How it went, newest first; and since when it fails. */
static struct json *
test_to_json(const struct history *h, const char *name)
{
    struct json *j = json_object(), *results = json_array();
    int64_t since = 0;
    bool fails = true;

    for (size_t i = 0; i < h->count; i++) {
        const char status = status_in(&h->builds[i], name);
        struct json *one;
        if (status == '-')
            continue;
        fails = fails && status == 'F';
        if (fails)
            since = h->builds[i].number;
        one = json_object();
        json_set(one, "build", json_int(h->builds[i].number));
        json_set(one, "status", json_text(word_of(status)));
        json_append(results, one);
    }
    json_set(j, "name", json_text(name));
    if (since != 0)
        json_set(j, "failingSince", json_int(since));
    json_set(j, "results", results);
    return j;
}

static struct json *
make_report(struct pipeline_room *room, const char *pipeline, int64_t number, struct err *err)
{
    cleanup_json struct json *steps = read_steps(room, pipeline, number), *names = json_object();
    struct json *report;
    struct counts c;
    struct history h;

    if (steps == NULL || !history_read(room, pipeline, number, &h)) {
        err_set(err, ERR_NOT_FOUND, "build %lld of '%s' has no test results", (long long)number,
                pipeline);
        return NULL;
    }
    c = judge(&h, names);
    count_cases(steps, &c);
    report = json_object();
    json_set(report, "counts", counts_to_json(&c));
    for (void *list = json_first(names); list != NULL; list = json_next(names, list)) {
        struct json *tests = json_array();
        for (size_t i = 0; i < json_size(json_value(list)); i++)
            json_append(tests, test_to_json(&h, json_cstr(json_at(json_value(list), i), "")));
        json_set(report, json_key(list), tests);
    }
    history_done(&h);
    return report;
}

static bool
has_ended(struct pipeline_room *room, const char *pipeline, int64_t number)
{
    const struct build *b;
    bool ended;

    room_lock(room);
    b = pipeline_find_build(&room->store, pipeline, number);
    ended = b != NULL && b->state == BUILD_ENDED;
    room_unlock(room);
    return ended;
}

static char *
report_path(const struct pipeline_room *room, const char *pipeline, int64_t number)
{
    cleanup_free char *directory = build_directory(room->config.data_dir, pipeline, number);

    return text_format("%s/tests-report.json", directory);
}

static struct json *
kept_report(const char *path)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct json *j = NULL;
    struct err err;

    if (file_exists(path) && file_read(path, FILE_BYTES_MAX, &text, &err))
        j = json_parse(strbuf_str(&text), &err);
    if (json_type(j) == JSON_OBJECT)
        return j;
    json_unref(j);
    return NULL;
}

/* Of a build that is over it is made once: its own file and those of twenty builds before it are read for
 * that, and later some of them are gone. */
struct json *
room_test_report(struct pipeline_room *room, const char *pipeline, int64_t number, struct err *err)
{
    const bool is_final = has_ended(room, pipeline, number);
    cleanup_free char *path = report_path(room, pipeline, number), *text = NULL;
    struct json *report = is_final ? kept_report(path) : NULL;
    struct err why;

    if (report != NULL)
        return report;
    report = make_report(room, pipeline, number, err);
    if (report == NULL || !is_final)
        return report;
    text = json_format(report);
    if (!file_write_atomic(path, str_of(text), 0640, &why))
        log_warn("pipeline.tests", "error=%s", log_quote(why.message));
    return report;
}
