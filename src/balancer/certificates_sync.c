/* SPDX-License-Identifier: MIT */
/* certificates_sync.c - what certificates HAProxy has, and the least change without a reload. */
#include "balancer/certificates.h"
#include "base/log.h"
#include "io/file.h"

#define FILE_LIMIT ((size_t)4 << 20)

/* ---- what HAProxy has ---- */

static void
learn_name(void *arg, struct str id)
{
    struct balancer *b = arg;
    cleanup_free char *text = str_dup(id);

    if (id.len < CERTIFICATE_ID_SIZE)
        certificate_entry(b, text)->is_there = true;
}

static void
learn_line(void *arg, struct str id)
{
    struct frontend *f = arg;
    cleanup_free char *text = str_dup(str_slice(id, 0, CERTIFICATE_ID_SIZE - 1));

    id_list_add(&f->tls.has, text);
}

/* Does the file, which is written after HAProxy took its content, hold what is wanted?  Chain and key do not
 * show in HAProxy's fingerprint. */
static bool
is_on_disk(const struct balancer *b, const struct certificate_entry *c)
{
    cleanup_free char *path = text_format("%s/certs/%s.pem", b->folder, c->id);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err ignored = {0};

    return file_read(path, FILE_LIMIT, &text, &ignored) && str_equal(strbuf_str(&text), strbuf_str(&c->bundle));
}

static void
compare(const struct balancer *b, struct certificate_entry *c, struct str answer)
{
    char fingerprint[41];

    if (!haproxy_parse_fingerprint(answer, fingerprint) || strcmp(fingerprint, c->fingerprint) != 0)
        c->has[0] = '\0';
    else if (strcmp(c->has, c->digest) != 0 && is_on_disk(b, c))
        memcpy(c->has, c->digest, sizeof(c->has));
}

static bool
learn_contents(struct balancer *b, struct err *err)
{
    struct certificate_entry *from = b->certificates;

    while (from != NULL) {
        cleanup(strbuf_done) struct strbuf line = {0}, answers = {0};
        struct certificate_entry *to = from;
        struct str rest, answer;
        for (; to != NULL && line.len < HAPROXY_LINE_MAX - 128; to = to->next)
            if (to->is_there && to->bundle.len > 0)
                strbuf_addf(&line, "%sshow ssl cert certs/%s.pem", line.len > 0 ? ";" : "", to->id);
        if (line.len > 0 && !haproxy_process_ask(b->haproxy, strbuf_cstr(&line), &answers, err))
            return false;
        rest = strbuf_str(&answers);
        for (; from != to; from = from->next)
            if (from->is_there && from->bundle.len > 0) {
                if (!haproxy_next_answer(&rest, &answer))
                    return err_set(err, ERR_HAPROXY, "HAProxy's answer about certificates is cut off");
                compare(b, from, answer);
            }
    }
    return true;
}

static bool
learn_list(struct balancer *b, struct frontend *f, struct err *err)
{
    cleanup_free char *line = text_format("show ssl crt-list certs/%s.list", f->id);
    cleanup(strbuf_done) struct strbuf answer = {0};

    id_list_clear(&f->tls.has);
    if (f->tls.policy == NULL || !f->is_served)
        return true;
    if (!haproxy_process_ask(b->haproxy, line, &answer, err))
        return false;
    haproxy_parse_certificates(strbuf_str(&answer), learn_line, f);
    return true;
}

bool
certificates_learn(struct balancer *b, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    bool is_any = b->certificates != NULL;

    for (const struct frontend *f = b->frontends; f != NULL; f = f->next)
        is_any = is_any || f->tls.policy != NULL;
    if (!is_any)
        return true; /* who serves no TLS pays nothing for it */
    if (!haproxy_process_ask(b->haproxy, "show ssl cert", &answer, err))
        return false;
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next)
        c->is_there = false;
    haproxy_parse_certificates(strbuf_str(&answer), learn_name, b);
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next)
        if (!c->is_there)
            c->has[0] = '\0';
    for (struct frontend *f = b->frontends; f != NULL; f = f->next)
        if (!learn_list(b, f, err))
            return false;
    return learn_contents(b, err);
}

/* ---- the difference ---- */

enum outcome { OUTCOME_DONE, OUTCOME_NO, OUTCOME_SILENCE };

/* One command and whether HAProxy did it; `answer_out` is for the log. */
static enum outcome
tell(const struct balancer *b, const char *command, const char *wanted, struct strbuf *answer_out)
{
    struct err err;

    strbuf_clear(answer_out);
    if (!haproxy_process_ask(b->haproxy, command, answer_out, &err)) {
        log_warn("haproxy.ask", "error=%s", log_quote(err.message));
        return OUTCOME_SILENCE;
    }
    return str_find(strbuf_str(answer_out), str_of(wanted)) >= 0 ? OUTCOME_DONE : OUTCOME_NO;
}

/* The content, under its name.  False: HAProxy is not what we think. */
static bool
set_content(struct balancer *b, struct certificate_entry *c)
{
    cleanup_free char *make = text_format("new ssl cert certs/%s.pem", c->id);
    cleanup_free char *set = text_format("set ssl cert certs/%s.pem <<\n" STR_FMT, c->id,
                                         STR_ARG(strbuf_str(&c->bundle)));
    cleanup_free char *commit = text_format("commit ssl cert certs/%s.pem", c->id);
    cleanup_free char *abort = text_format("abort ssl cert certs/%s.pem", c->id);
    cleanup(strbuf_done) struct strbuf answer = {0}, ignored = {0};
    struct err err;
    enum outcome outcome;

    if (!c->is_there && tell(b, make, "New empty certificate store", &answer) != OUTCOME_DONE)
        return false;
    c->is_there = true;
    outcome = tell(b, set, "Transaction ", &answer);
    if (outcome == OUTCOME_DONE)
        outcome = tell(b, commit, "Success!", &answer);
    if (outcome == OUTCOME_SILENCE)
        return false;
    if (outcome == OUTCOME_NO) {
        (void)tell(b, abort, "", &ignored);
        certificate_refuse(c, strbuf_str(&answer));
        b->is_dirty = b->must_learn = true; /* it goes on without this one */
        return true;
    }
    memcpy(c->has, c->digest, sizeof(c->has));
    log_info("certificate.set", "certificate=%s fingerprint=%s", c->id, c->fingerprint);
    if (!certificate_write(b->folder, c, &err))
        log_warn("certificate.write", "error=%s", log_quote(err.message));
    return true;
}

static bool
set_contents(struct balancer *b, bool is_in_force)
{
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next) {
        if (!certificate_is_usable(b, c->id) || certificate_is_large(c) || strcmp(c->has, c->digest) == 0 ||
            (!c->is_there && !is_in_force))
            continue;
        if (!set_content(b, c))
            return false;
    }
    return true;
}

static bool
add_line(struct balancer *b, struct frontend *f, const char *id)
{
    cleanup_free char *command = text_format("add ssl crt-list certs/%s.list certs/%s.pem", f->id, id);
    cleanup(strbuf_done) struct strbuf answer = {0};
    const enum outcome outcome = tell(b, command, "Success!", &answer);

    if (outcome == OUTCOME_SILENCE)
        return false;
    if (outcome == OUTCOME_NO) {
        certificate_refuse(certificate_entry(b, id), strbuf_str(&answer));
        b->is_dirty = b->must_learn = true;
        return true;
    }
    id_list_add(&f->tls.has, id);
    log_info("certificate.added", "listener=%s certificate=%s", f->id, id);
    return true;
}

/* Where one is there twice HAProxy wants a line, and says which there are: "... (2, 3)!".  The last. */
static int64_t
last_line(struct str answer)
{
    const ptrdiff_t from = str_rindex(answer, ' '), to = str_rindex(answer, ')');
    int64_t line;

    if (str_find(answer, STR("several entries")) < 0 || from < 0 || to < from ||
        !str_to_i64(str_slice(answer, (size_t)from + 1, (size_t)to), &line))
        return 0;
    return line;
}

static bool
remove_line(struct balancer *b, struct frontend *f, int index)
{
    const char *id = f->tls.has.at[index];
    cleanup_free char *command = text_format("del ssl crt-list certs/%s.list certs/%s.pem", f->id, id);
    cleanup(strbuf_done) struct strbuf answer = {0};
    enum outcome outcome = tell(b, command, "deleted in crtlist", &answer);
    const int64_t line = last_line(strbuf_str(&answer));

    if (outcome == OUTCOME_NO && line > 0) {
        cleanup_free char *exact = text_format("%s:%lld", command, (long long)line);
        outcome = tell(b, exact, "deleted in crtlist", &answer);
    }
    if (outcome != OUTCOME_DONE) {
        log_error("haproxy.refused", "command=%s answer=%s", log_quote(command), log_quote(strbuf_cstr(&answer)));
        return false;
    }
    log_info("certificate.removed", "listener=%s certificate=%s", f->id, id);
    memmove(&f->tls.has.at[index], &f->tls.has.at[index + 1],
            (size_t)(f->tls.has.count - index - 1) * sizeof(*f->tls.has.at));
    f->tls.has.count--;
    return true;
}

/* The first line is the default one: a reload's business. */
static bool
sync_list(struct balancer *b, struct frontend *f)
{
    for (int i = 0; i < f->tls.wanted.count; i++) {
        const char *id = f->tls.wanted.at[i];
        if (certificate_is_usable(b, id) && !id_list_has(&f->tls.has, id) && !add_line(b, f, id))
            return false;
    }
    for (int i = f->tls.has.count - 1; i > 0; i--) {
        const char *id = f->tls.has.at[i];
        bool is_twice = false;
        for (int k = 0; k < i; k++)
            is_twice = is_twice || strcmp(f->tls.has.at[k], id) == 0;
        if ((is_twice || !id_list_has(&f->tls.wanted, id) || !certificate_is_usable(b, id)) &&
            !remove_line(b, f, i))
            return false;
    }
    return true;
}

/* What no listener has any more. */
static bool
remove_unused(struct balancer *b)
{
    cleanup(strbuf_done) struct strbuf answer = {0};

    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next) {
        cleanup_free char *command = text_format("del ssl cert certs/%s.pem", c->id);
        const struct frontend *f = b->frontends;
        while (f != NULL && !id_list_has(&f->tls.wanted, c->id))
            f = f->next;
        if (f != NULL || !c->is_there)
            continue;
        if (tell(b, command, "deleted!", &answer) != OUTCOME_DONE) {
            log_error("haproxy.refused", "command=%s answer=%s", log_quote(command), log_quote(strbuf_cstr(&answer)));
            return false;
        }
        c->is_there = false;
        c->has[0] = '\0';
    }
    certificates_drop(b);
    return true;
}

bool
certificates_sync(struct balancer *b)
{
    const bool is_in_force = strcmp(b->running, b->wanted) == 0;

    if (b->certificates == NULL)
        return true;
    if (!set_contents(b, is_in_force))
        return false;
    if (!is_in_force)
        return true;
    for (struct frontend *f = b->frontends; f != NULL; f = f->next)
        if (f->tls.policy != NULL && f->is_served && !sync_list(b, f))
            return false;
    return remove_unused(b);
}
