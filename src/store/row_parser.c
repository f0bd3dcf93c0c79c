/* SPDX-License-Identifier: MIT */
#include "store/row_parser.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS_MAX 4

struct row {
    size_t kind, key, text, text_len; /* where they stand in the bytes of the batch */
    struct json *doc;
};

/* Its thread's alone from its creation until it is joined; else the caller's. */
struct batch {
    struct strbuf bytes; /* kind, NUL, key, NUL, text of each row */
    struct row rows[ROW_BATCH_ROWS];
    int count;
    struct err err; /* of the first row that is broken; it and those behind it have no doc */
    bool has_thread;
    pthread_t thread;
};

/* A ring: the batches from `oldest` on are being parsed, the one at `filling` gathers. */
struct row_parser {
    row_call *each;
    void *arg;
    struct batch batches[THREADS_MAX + 1];
    unsigned size, oldest, filling;
};

static unsigned
thread_count(void)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (unsigned)processors;
}

struct row_parser *
row_parser_new(row_call *each, void *arg)
{
    struct row_parser *p = mem_new(sizeof(*p));

    p->each = each;
    p->arg = arg;
    p->size = thread_count() + 1;
    return p;
}

static void *
parse(void *arg)
{
    struct batch *b = arg;

    for (int i = 0; i < b->count; i++) {
        struct row *row = &b->rows[i];
        row->doc = json_parse((struct str){b->bytes.at + row->text, row->text_len}, &b->err);
        if (row->doc == NULL)
            break;
    }
    return NULL;
}

static void
wait_for(struct batch *b)
{
    if (b->has_thread && pthread_join(b->thread, NULL) != 0)
        abort();
    b->has_thread = false;
}

static void
forget_rows(struct batch *b)
{
    for (int i = 0; i < b->count; i++)
        json_unref(b->rows[i].doc);
    b->count = 0;
    strbuf_clear(&b->bytes);
}

static bool
hand_on(struct row_parser *p, struct batch *b, struct err *err)
{
    wait_for(b);
    for (int i = 0; i < b->count; i++) {
        const struct row *row = &b->rows[i];
        const char *kind = b->bytes.at + row->kind, *key = b->bytes.at + row->key;
        if (row->doc == NULL) {
            *err = b->err;
            return err_context(err, "row %s '%s'", kind, key);
        }
        if (!p->each(p->arg, kind, key, row->doc, err))
            return false;
    }
    forget_rows(b);
    return true;
}

static bool
hand_on_oldest(struct row_parser *p, struct err *err)
{
    struct batch *b = &p->batches[p->oldest];

    p->oldest = (p->oldest + 1) % p->size;
    return hand_on(p, b, err);
}

/* A machine that has no thread left for us has to wait for the parsing itself. */
static bool
start_parsing(struct row_parser *p, struct err *err)
{
    struct batch *b = &p->batches[p->filling];

    b->has_thread = pthread_create(&b->thread, NULL, parse, b) == 0;
    if (!b->has_thread)
        (void)parse(b);
    p->filling = (p->filling + 1) % p->size;
    return p->filling != p->oldest || hand_on_oldest(p, err);
}

static size_t
keep(struct batch *b, struct str text)
{
    const size_t at = b->bytes.len;

    strbuf_add(&b->bytes, text);
    strbuf_add_char(&b->bytes, '\0');
    return at;
}

bool
row_parser_add(struct row_parser *p, const char *kind, const char *key, struct str text,
               struct err *err)
{
    struct batch *b = &p->batches[p->filling];
    struct row *row = &b->rows[b->count++];

    *row = (struct row){.kind = keep(b, str_of(kind)), .text_len = text.len};
    row->key = keep(b, str_of(key));
    row->text = keep(b, text);
    return (b->count < ROW_BATCH_ROWS && b->bytes.len < ROW_BATCH_SIZE) || start_parsing(p, err);
}

bool
row_parser_finish(struct row_parser *p, struct err *err)
{
    while (p->oldest != p->filling) {
        if (!hand_on_oldest(p, err))
            return false;
    }
    (void)parse(&p->batches[p->filling]); /* the last few: quicker than a thread is started */
    return hand_on(p, &p->batches[p->filling], err);
}

void
row_parser_free(struct row_parser *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->size; i++) {
        wait_for(&p->batches[i]);
        forget_rows(&p->batches[i]);
        strbuf_done(&p->batches[i].bytes);
    }
    free(p);
}
