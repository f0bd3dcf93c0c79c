/* SPDX-License-Identifier: MIT */
#include "pipeline/run/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "io/file.h"
#include "pipeline/run/journal_thrown.h"
#include "pipeline/run/journal_value.h"

#define LINES_MAX ((size_t)256 << 20) /* of the file `lines` */
#define HEAD "{\"journal\":1,"
#define HEAD_GIVEN_UP "{\"journal\":0,"
#define HEAD_SIZE_MAX 4096
#define TURN_WAIT_MS 5000 /* for an end that should come first and does not: the script changed its way */

struct entry {
    const char *id;
    struct str record; /* the newest: as it stands in the file, which is far smaller than what it says */
    bool has_ended;
    size_t turn; /* of the end, from 0 */
    struct entry *next; /* in its bucket */
};

static char boot[64]; /* of the machine */

static void
read_boot(void)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str id;

    if (!file_read("/proc/sys/kernel/random/boot_id", sizeof(boot), &text, NULL))
        return;
    id = str_trim(strbuf_str(&text));
    snprintf(boot, sizeof(boot), STR_FMT, STR_ARG(id));
}

/* Where an interruption struck a flow outside of a recorded step. */
struct strike {
    uint64_t entered; /* evaluations of the flow */
    unsigned steps;
    size_t turn;
    struct str record;
    struct strike *next;
};

/* What is known of a flow that ran before. */
struct journal_flow {
    struct strike *strikes; /* those to come, in their order */
    uint64_t hash;
    unsigned last_step;   /* the highest that is recorded */
    uint64_t lines;       /* in the log */
    uint64_t written;     /* by this runner, those in the log included */
    struct journal_flow *next;
};

struct line_record {
    uint64_t flow;
    uint32_t size, check;
};

#define BUCKETS 4096u /* at least: of entries there are as many as a journal has records for */
#define RECORDS_A_BUCKET 4
#define FLUSHER_STACK_SIZE ((size_t)256 << 10)
struct journal {
    const struct runner_config *config;
    int fd, lines_fd;
    struct entry **entries;
    size_t buckets;
    struct journal_flow *flows[BUCKETS];
    struct strbuf text; /* what there was at the start; entries point into it */
    struct flow **waiting; /* by turn */
    size_t turns, next_turn;
    size_t strikes; /* recorded and yet to come, of all flows */
    bool is_damaged;
    char begun_by[32]; /* the version of naru; "": one that did not say so */
    bool went_down; /* the machine, since an earlier runner wrote here */

    /* Flushing takes longer than a short script; a thread does it, as soon as there is something. */
    pthread_t flusher;
    bool has_flusher;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool is_dirty, is_closing;
    int flush_errno; /* what was written then may not be there after a power cut */
    size_t size;
};

static uint64_t
hash_of(const char *s)
{
    return hash_fnv_64(HASH_FNV_64, str_of(s));
}

static char *
path_in(const char *state_dir, const char *name)
{
    return text_format("%s/%s", state_dir, name);
}

static struct entry *
find(const struct journal *j, const char *id)
{
    for (struct entry *e = j->entries[hash_of(id) % j->buckets]; e != NULL; e = e->next)
        if (strcmp(e->id, id) == 0)
            return e;
    return NULL;
}

static struct journal_flow *
flow_by_hash(struct run *run, uint64_t hash)
{
    struct journal_flow **bucket = &run->journal->flows[hash % BUCKETS], *f;

    for (f = *bucket; f != NULL; f = f->next)
        if (f->hash == hash)
            return f;
    f = arena_alloc(&run->arena, sizeof(*f));
    f->hash = hash;
    f->next = *bucket;
    *bucket = f;
    return f;
}

/* Of the flow that runs. */
static struct journal_flow *
this_flow(struct run *run)
{
    if (run->past == NULL)
        run->past = flow_by_hash(run, hash_of(flow_path(run)));
    return run->past;
}

static void
told(const struct runner_config *c, enum journal_point point)
{
    if (c->on_journal != NULL)
        c->on_journal(c->ctx, point);
}

static void *
flush_when_asked(void *arg)
{
    struct journal *j = arg;

    pthread_mutex_lock(&j->mutex);
    while (!j->is_closing || j->is_dirty) {
        if (!j->is_dirty) {
            pthread_cond_wait(&j->wake, &j->mutex);
            continue;
        }
        j->is_dirty = false;
        pthread_mutex_unlock(&j->mutex);
        bool flushed = fdatasync(j->fd) == 0;
        int failure = errno;
        told(j->config, JOURNAL_FLUSHED);
        pthread_mutex_lock(&j->mutex);
        if (!flushed)
            j->flush_errno = failure;
    }
    pthread_mutex_unlock(&j->mutex);
    return NULL;
}

static void
ask_for_flush(struct journal *j)
{
    pthread_mutex_lock(&j->mutex);
    j->is_dirty = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->mutex);
}

static bool
start_flusher(struct journal *j)
{
    pthread_attr_t attr;

    pthread_mutex_init(&j->mutex, NULL);
    pthread_cond_init(&j->wake, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, FLUSHER_STACK_SIZE);
    j->has_flusher = pthread_create(&j->flusher, &attr, flush_when_asked, j) == 0;
    pthread_attr_destroy(&attr);
    return j->has_flusher;
}

static void
stop_flusher(struct journal *j)
{
    if (!j->has_flusher)
        return;
    pthread_mutex_lock(&j->mutex);
    j->is_closing = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->mutex);
    pthread_join(j->flusher, NULL);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->mutex);
}

/* What follows would be done again after a restart: better not taken up at all.  The head says so,
 * in place: a full disk has no room for more.  A journal without its head is not taken up either. */
static void
give_up(struct run *run, const struct err *why)
{
    struct journal *j = run->journal;
    cleanup_free char *path = path_in(run->config->state_dir, "journal");
    SERVER_ACTS(run);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC); /* j->fd only appends */
    const ssize_t length = (ssize_t)strlen(HEAD_GIVEN_UP);
    bool marked = fd >= 0 && (pwrite(fd, HEAD_GIVEN_UP, (size_t)length, 0) == length ||
                              ftruncate(fd, 0) == 0);

    j->is_damaged = true;
    log_error("journal.write", "build=%lld marked=%s error=%s", (long long)run->config->number,
              marked ? "yes" : "no", log_quote(why->message));
    run_logf(run,
             "WARNING: the journal of the build: %s; if naru is restarted, the build cannot be taken "
             "up and fails",
             why->message);
    ask_for_flush(j);
}

static size_t
journal_max(const struct run *run)
{
    return run->config->journal_max > 0 ? run->config->journal_max : RUNNER_JOURNAL_MAX;
}

static bool
write_record(struct run *run, struct str line, struct err *err)
{
    struct journal *j = run->journal;
    int flush_errno;

    pthread_mutex_lock(&j->mutex);
    flush_errno = j->flush_errno;
    pthread_mutex_unlock(&j->mutex);
    errno = flush_errno;
    if (flush_errno != 0)
        return err_errno(err, "cannot flush it");
    if (j->size + line.len > journal_max(run))
        return err_set(err, ERR_INTERNAL, "it would be larger than %zu bytes", journal_max(run));
    j->size += line.len;
    told(run->config, JOURNAL_DUE);
    if (!file_write_all(j->fd, line, err))
        return false;
    told(run->config, JOURNAL_WRITTEN);
    return true;
}

static void
append(struct run *run, struct json *record, bool flush)
{
    struct journal *j = run->journal;
    cleanup(strbuf_done) struct strbuf line = {0};
    struct err err;

    json_write(&line, record);
    json_unref(record);
    strbuf_add_char(&line, '\n');
    if (run->is_suspended || j->is_damaged)
        return;
    if (!write_record(run, strbuf_str(&line), &err))
        give_up(run, &err);
    else if (flush)
        ask_for_flush(j);
}

/* The path of its flow and the number, out of an id: "_3.0-7". */
static void
note_step(struct run *run, const char *id)
{
    const char *dash = strrchr(id, '-');
    cleanup_free char *path = str_dup((struct str){id, dash == NULL ? 0 : (size_t)(dash - id)});
    int64_t number = 0;
    struct journal_flow *f;

    for (char *c = path; *c != '\0'; c++)
        if (*c == '_')
            *c = '/';
    if (dash == NULL || !str_to_i64(str_of(dash + 1), &number))
        return;
    f = flow_by_hash(run, hash_of(path));
    if ((unsigned)number > f->last_step)
        f->last_step = (unsigned)number;
}

/* Of the machine; another one after each start of it. */
static const char *
this_boot(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, read_boot);
    return boot;
}

static void
take_strike(struct run *run, const struct json *record, struct str line, const char *flow)
{
    struct journal_flow *f = flow_by_hash(run, hash_of(flow));
    struct strike **last = &f->strikes, *s = arena_alloc(&run->arena, sizeof(*s));

    while (*last != NULL)
        last = &(*last)->next;
    s->entered = (uint64_t)json_get_i64(record, "entered", 0);
    s->steps = (unsigned)json_get_i64(record, "steps", 0);
    s->turn = run->journal->turns++;
    s->record = line;
    *last = s;
    run->journal->strikes++;
}

static void
take_record(struct run *run, const struct json *record, struct str line)
{
    struct journal *j = run->journal;
    const char *id = json_get_cstr(record, "id", ""), *flow = json_get_cstr(record, "struck", NULL);
    struct entry *e = find(j, id);

    if (json_get(record, "logged") != NULL)
        (void)text_copy(j->begun_by, sizeof(j->begun_by), str_of(json_get_cstr(record, "naru", "")));
    if (json_get(record, "boot") != NULL)
        j->went_down = strcmp(json_get_cstr(record, "boot", ""), this_boot()) != 0;
    if (flow != NULL)
        take_strike(run, record, line, flow);
    if (id[0] == '\0')
        return;
    if (e == NULL) {
        struct entry **bucket = &j->entries[hash_of(id) % j->buckets];
        e = arena_alloc(&run->arena, sizeof(*e));
        e->id = arena_cstr(&run->arena, str_of(id));
        e->next = *bucket;
        *bucket = e;
    }
    e->record = line;
    note_step(run, id);
    if (json_get(record, "ended") == NULL)
        return;
    e->has_ended = true;
    e->turn = SIZE_MAX;
    if (json_get_bool(record, "ended", false))
        e->turn = j->turns++;
}

/* Gives how many bytes of the file are whole records. */
static size_t
read_records(struct run *run, struct str text)
{
    size_t whole = 0;

    for (;;) {
        struct str rest = str_slice(text, whole, text.len);
        ptrdiff_t end = str_index(rest, '\n');
        cleanup_json struct json *record = NULL;
        struct str line;
        struct err err;
        if (end < 0)
            break;
        line = str_slice(rest, 0, (size_t)end);
        record = json_parse(line, &err);
        if (record == NULL)
            break; /* the machine went down while it was written */
        take_record(run, record, line);
        whole += (size_t)end + 1;
    }
    return whole;
}

static uint32_t
line_check(const struct line_record *r)
{
    return (uint32_t)(r->flow ^ (r->flow >> 32) ^ r->size) ^ 0x6E617275u;
}

static void
read_lines(struct run *run, struct str data)
{
    struct line_record r;

    for (size_t at = 0; at + sizeof(r) <= data.len; at += sizeof(r)) {
        memcpy(&r, data.at + at, sizeof(r));
        if (r.check != line_check(&r))
            break;
        flow_by_hash(run, r.flow)->lines++;
    }
}

bool
journal_find_file(struct run *run, struct strbuf *text)
{
    const char *state_dir = run->config->state_dir;
    cleanup_free char *path = state_dir == NULL ? NULL : path_in(state_dir, "Jenkinsfile");
    cleanup_free char *journal = state_dir == NULL ? NULL : path_in(state_dir, "journal");

    return path != NULL && file_exists(journal) && file_read(path, SYNTAX_TEXT_MAX + 1, text, NULL);
}

static bool
read_head(const char *state_dir, char out[static HEAD_SIZE_MAX])
{
    cleanup_free char *path = path_in(state_dir, "journal");
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, out, HEAD_SIZE_MAX - 1);

    out[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

int64_t
journal_log_size(const char *state_dir)
{
    cleanup_free char *lines_path = path_in(state_dir, "lines");
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup_json struct json *first = NULL;
    char head[HEAD_SIZE_MAX];
    struct str rest = {0}, line;
    struct line_record r;
    struct err err;
    int64_t size;

    if (!read_head(state_dir, head))
        return 0;
    if (!str_starts(str_of(head), STR(HEAD)))
        return INT64_MAX;
    rest = str_of(head);
    (void)str_split(&rest, '\n', &line);
    first = json_parse(line, &err);
    size = json_get_i64(first, "logged", 0);
    if (!file_read(lines_path, LINES_MAX, &lines, NULL))
        return size;
    for (size_t at = 0; at + sizeof(r) <= lines.len; at += sizeof(r)) {
        memcpy(&r, lines.at + at, sizeof(r));
        if (r.check != line_check(&r))
            break;
        size += r.size;
    }
    return size;
}

static bool
fail(struct run *run, const struct err *err)
{
    run->journal->is_damaged = true; /* it stays as it is */
    return interp_throw(&run->in, NULL, "AbortException", "the journal of the build: %s",
                        err->message);
}

static void
make_buckets(struct journal *j, struct str text)
{
    size_t records = 0;

    for (size_t i = 0; i < text.len; i++)
        records += text.at[i] == '\n';
    free(j->entries);
    j->buckets = records / RECORDS_A_BUCKET > BUCKETS ? records / RECORDS_A_BUCKET : BUCKETS;
    j->entries = mem_new(j->buckets * sizeof(struct entry *));
}

/* An upgrade is the likeliest reason for a script to take another way than before. */
static const char *
of_another_version(struct run *run)
{
    const char *by = run->journal->begun_by;

    if (strcmp(by, NARU_VERSION) == 0)
        return "";
    return arena_format(&run->arena, " (it was begun by %s%s, and this is naru " NARU_VERSION ")",
                        by[0] == '\0' ? "an earlier naru" : "naru ", by);
}

static bool
check_head(struct str text, struct err *err)
{
    if (str_starts(text, STR(HEAD)))
        return true;
    if (text.len == 0 || str_starts(text, STR(HEAD_GIVEN_UP)))
        return err_set(err, ERR_INTERNAL, "it could not be written to its end before the restart; "
                                          "the build cannot be taken up");
    return err_set(err, ERR_INTERNAL,
                   "it is none that naru " NARU_VERSION " can read; the build cannot be taken up");
}

static bool
load(struct run *run, const char *path, const char *lines_path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf lines = {0};
    struct strbuf *text = &run->journal->text;
    size_t whole;

    if (!file_read(path, RUNNER_JOURNAL_MAX, text, err) ||
        (file_exists(lines_path) && !file_read(lines_path, LINES_MAX, &lines, err)))
        return false;
    if (!check_head(strbuf_str(text), err))
        return false;
    make_buckets(run->journal, strbuf_str(text));
    whole = read_records(run, strbuf_str(text));
    read_lines(run, strbuf_str(&lines));
    run->journal->size = whole;
    if (strcmp(run->journal->begun_by, NARU_VERSION) != 0)
        log_info("journal.other_version", "build=%lld begun_by=%s", (long long)run->config->number,
                 run->journal->begun_by[0] == '\0' ? "earlier" : run->journal->begun_by);
    if (truncate(path, (off_t)whole) != 0)
        return err_errno(err, "cannot cut '%s'", path);
    return true;
}

static bool
begin(struct run *run, struct str file_text, const char *path, struct err *err)
{
    cleanup_free char *file = path_in(run->config->state_dir, "Jenkinsfile");
    cleanup_free char *head = text_format(HEAD "\"naru\":\"" NARU_VERSION "\",\"logged\":%lld,\"boot\":\"%s\"}\n",
                                          (long long)run->logged, this_boot());

    run->journal->size = strlen(head);
    return file_make_dirs(run->config->state_dir, 0700, err) &&
           file_write_atomic(file, file_text, 0600, err) &&
           file_write_atomic(path, str_of(head), 0600, err);
}

static void
note_boot(struct run *run)
{
    struct json *r = json_object();

    json_set(r, "boot", json_text(this_boot()));
    append(run, r, true);
}

bool
journal_open(struct run *run, struct str file_text)
{
    cleanup_free char *path = NULL, *lines_path = NULL;
    struct journal *j;
    struct err err;

    if (run->config->state_dir == NULL)
        return true;
    path = path_in(run->config->state_dir, "journal");
    lines_path = path_in(run->config->state_dir, "lines");
    j = mem_new(sizeof(*j));
    j->config = run->config;
    j->fd = j->lines_fd = -1;
    make_buckets(j, (struct str){0});
    run->journal = j;
    if (!(file_exists(path) ? load(run, path, lines_path, &err)
                            : begin(run, file_text, path, &err)))
        return fail(run, &err);
    run->in.polls_always = j->strikes > 0;
    if (j->turns > 0)
        j->waiting = mem_new(j->turns * sizeof(struct flow *));
    j->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    j->lines_fd = open(lines_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (j->fd < 0 || j->lines_fd < 0 || !start_flusher(j)) {
        err_errno(&err, "cannot open '%s'", path);
        return fail(run, &err);
    }
    if (j->went_down)
        note_boot(run);
    return true;
}

void
journal_close(struct run *run)
{
    struct journal *j = run->journal;

    if (j == NULL)
        return;
    run->journal = NULL;
    stop_flusher(j);
    cleanup_close_(&j->fd);
    cleanup_close_(&j->lines_fd);
    strbuf_done(&j->text);
    free(j->entries);
    free(j->waiting);
    free(j);
}

bool
journal_is_repeating(const struct run *run)
{
    struct run *r = (struct run *)(uintptr_t)run;

    return run->journal != NULL &&
           (flow_steps(run) < this_flow(r)->last_step || this_flow(r)->strikes != NULL);
}

bool
journal_has_line(struct run *run, size_t size)
{
    struct line_record r = {.size = (uint32_t)size};
    struct journal_flow *f;
    struct err err;

    if (run->journal == NULL) {
        run->logged += (int64_t)size;
        return false;
    }
    f = this_flow(run);
    if (f->written++ < f->lines)
        return true;
    r.flow = f->hash;
    r.check = line_check(&r);
    if (!run->journal->is_damaged &&
        !file_write_all(run->journal->lines_fd, (struct str){(const char *)&r, sizeof(r)}, &err))
        give_up(run, &err);
    return false;
}

/* Ends come back in the order in which they came. */
static void
wait_for_turn(struct run *run, size_t turn)
{
    struct journal *j = run->journal;
    int64_t give_up_ms = clock_monotonic_ms() + TURN_WAIT_MS;

    if (turn == SIZE_MAX)
        return;
    while (j->next_turn < turn && clock_monotonic_ms() < give_up_ms) {
        j->waiting[turn] = flow_current(run);
        flow_wait(run, NULL, 0, give_up_ms);
        j->waiting[turn] = NULL;
    }
    if (j->next_turn <= turn)
        j->next_turn = turn + 1;
    if (j->next_turn < j->turns && j->waiting[j->next_turn] != NULL)
        flow_wake(j->waiting[j->next_turn]);
}

/* Another naru may count evaluations otherwise: a strike comes behind the steps that it came behind, and before
 * the next one. */
static bool
is_past_strike(struct run *run)
{
    const struct journal_flow *f =
        run->journal == NULL || run->journal->strikes == 0 ? NULL : this_flow(run);

    return f != NULL && f->strikes != NULL && flow_steps(run) > f->strikes->steps;
}

bool
journal_strikes(struct run *run)
{
    struct journal *j = run->journal;
    struct journal_flow *f = j == NULL || j->strikes == 0 ? NULL : this_flow(run);
    const struct strike *s = f == NULL ? NULL : f->strikes;
    cleanup_json struct json *record = NULL;
    struct err err;

    if (s == NULL || run->acts)
        return false;
    if (!is_past_strike(run) && (run->in.entered < s->entered || flow_steps(run) < s->steps))
        return false;
    if (is_past_strike(run)) /* what follows has the numbers that it had */
        flow_step_back(run, s->steps);
    f->strikes = s->next;
    run->in.polls_always = --j->strikes > 0;
    wait_for_turn(run, s->turn);
    run_log_flush(run);
    record = json_parse(s->record, &err);
    f->written = (uint64_t)json_get_i64(record, "lines", 0);
    return !journal_throw_again(run, json_get(record, "thrown"));
}

bool
journal_ended_before(struct step_call *s, bool *ok)
{
    struct run *run = s->run;
    struct journal *j = run->journal;
    const struct entry *e = j == NULL ? NULL : find(j, s->id);
    cleanup_json struct json *record = NULL;
    const struct json *x;
    struct err err;
    int64_t noted;

    if (is_past_strike(run) && journal_strikes(run)) { /* it never came to this step */
        *ok = false;
        return true;
    }
    if (e == NULL)
        return false;
    record = json_parse(e->record, &err);
    if (!str_is(s->name, json_get_cstr(record, "name", ""))) {
        *ok = interp_throw(s->in, s->at, "AbortException",
                           "after the restart the script came to '" STR_FMT "' where it was at "
                           "'%s' before: it cannot be taken up%s",
                           STR_ARG(s->name), json_get_cstr(record, "name", ""),
                           of_another_version(run));
        return true;
    }
    if (!e->has_ended)
        return false;
    wait_for_turn(run, e->turn);
    noted = json_get_i64(record, "result", -1);
    if (noted >= 0)
        run_worsen(run, (enum build_result)noted);
    noted = json_get_i64(record, "mark", -1);
    if (noted >= 0)
        run_mark(run, (enum build_result)noted);
    this_flow(run)->written = (uint64_t)json_get_i64(record, "lines", 0);
    x = json_get(record, "thrown");
    *ok = x == NULL ? journal_value_read(&run->arena, json_get(record, "value"), s->out)
                    : journal_throw_again(run, x);
    return true;
}

static struct json *
record_of(const struct step_call *s)
{
    struct json *r = json_object();

    json_set(r, "id", json_text(s->id));
    json_set(r, "name", json_str(s->name));
    return r;
}

bool
journal_is_lost(const struct run *run, const char *id, const char *folder)
{
    return run->journal != NULL && run->journal->went_down &&
           (find(run->journal, id) != NULL || file_exists(folder));
}

bool
journal_begun(struct step_call *s)
{
    if (s->run->journal != NULL && find(s->run->journal, s->id) != NULL)
        return false;
    if (s->run->journal != NULL)
        append(s->run, record_of(s), str_is(s->name, "sh"));
    return true;
}

/* Of what ends now: what was said before it. */
static void
set_lines(struct run *run, struct json *r)
{
    run_log_flush(run);
    /* Done again it may have said less than before; what follows was not said yet. */
    if (this_flow(run)->written < this_flow(run)->lines)
        this_flow(run)->lines = this_flow(run)->written;
    json_set(r, "lines", json_int((int64_t)this_flow(run)->written));
}

void
journal_struck(struct run *run)
{
    struct json *r;

    if (run->journal == NULL || run->is_suspended)
        return;
    r = json_object();
    json_set(r, "struck", json_text(flow_path(run)));
    json_set(r, "entered", json_int((int64_t)run->in.entered));
    json_set(r, "steps", json_int(flow_steps(run)));
    set_lines(run, r);
    json_set(r, "thrown", journal_thrown_to_json(run, run->in.thrown));
    append(run, r, true);
}

void
journal_ended(struct step_call *s, bool ok)
{
    struct run *run = s->run;
    struct json *r, *value;

    if (run->journal == NULL || run->is_suspended)
        return;
    r = record_of(s);
    set_lines(run, r);
    json_set(r, "ended", json_bool(true));
    if (run->noted_result >= 0)
        json_set(r, "result", json_int(run->noted_result));
    if (run->noted_mark >= 0)
        json_set(r, "mark", json_int(run->noted_mark));
    if (!ok && s->in->completion == COMPLETION_THROW) {
        json_set(r, "thrown", journal_thrown_to_json(run, s->in->thrown));
    } else if (journal_value_write(*s->out, &value)) {
        json_set(r, "value", value);
    } else {
        json_unref(r);
        return; /* not to be kept: it is done again */
    }
    append(run, r, true);
}

bool
journal_known(struct run *run, const char *id, struct value *out)
{
    const struct entry *e = run->journal == NULL ? NULL : find(run->journal, id);

    cleanup_json struct json *record = NULL;
    struct err err;

    if (e == NULL || !e->has_ended)
        return false;
    record = json_parse(e->record, &err);
    if (!journal_value_read(&run->arena, json_get(record, "value"), out))
        return false;
    this_flow(run)->written = (uint64_t)json_get_i64(record, "lines", 0);
    return true;
}

void
journal_note(struct run *run, const char *id, struct value v)
{
    struct json *r, *value;

    if (run->journal == NULL || !journal_value_write(v, &value))
        return;
    r = json_object();
    json_set(r, "id", json_text(id));
    json_set(r, "ended", json_bool(false)); /* without a turn */
    json_set(r, "lines", json_int((int64_t)this_flow(run)->written));
    json_set(r, "value", value);
    append(run, r, false);
}

static const char *
over_key(struct run *run, const char *id)
{
    return arena_format(&run->arena, "over-%s", id);
}

void
journal_over(struct run *run, const char *id)
{
    if (!journal_is_over(run, id))
        journal_note(run, over_key(run, id), value_null());
}

bool
journal_is_over(struct run *run, const char *id)
{
    return run->journal != NULL && find(run->journal, over_key(run, id)) != NULL;
}

int64_t
journal_time_ms(struct run *run, const char *id)
{
    const char *key = arena_format(&run->arena, "time-%s", id);
    struct value v;

    if (journal_known(run, key, &v) && v.type == V_LONG)
        return v.number;
    v = value_long(clock_wall_ms());
    journal_note(run, key, v);
    return v.number;
}

void
journal_settle(struct interp *in, struct value *v)
{
    struct run *run = run_of(in);
    const char *key;

    if (run->journal == NULL)
        return;
    key = arena_format(&run->arena, "value-%s-%u", flow_path(run), flow_next_step(run));
    if (!journal_known(run, key, v))
        journal_note(run, key, *v);
}
