/* SPDX-License-Identifier: MIT */
/* certificates.c - which certificates there are, and which of them can be served. */
#include "balancer/certificates.h"
#include <stdio.h>
#include "base/json.h"
#include "base/log.h"
#include "base/x509.h"
#include "io/file.h"

/* HAProxy takes no command that is longer than its buffer (16 KB). */
#define LARGE_SIZE 15000

static struct certificate_entry *
find(const struct balancer *b, const char *id)
{
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next)
        if (strcmp(c->id, id) == 0)
            return c;
    return NULL;
}

static bool
is_usable(const struct certificate_entry *c)
{
    return c != NULL && c->bundle.len > 0 && !c->is_refused;
}

bool
certificate_is_usable(const struct balancer *b, const char *id)
{
    return is_usable(find(b, id));
}

bool
certificate_is_large(const struct certificate_entry *c)
{
    return c->bundle.len > LARGE_SIZE;
}

/* ---- a new view ---- */

/* An id is a part of names of files and commands. */
static bool
is_plain(const char *id)
{
    return id[0] != '\0' && id[strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

struct certificate_entry *
certificate_entry(struct balancer *b, const char *id)
{
    struct certificate_entry **at = &b->certificates;

    while (*at != NULL && strcmp((*at)->id, id) < 0)
        at = &(*at)->next;
    if (*at == NULL || strcmp((*at)->id, id) != 0) {
        struct certificate_entry *c = mem_new(sizeof(*c));
        text_copy(c->id, sizeof(c->id), str_of(id));
        c->next = *at;
        *at = c;
    }
    return *at;
}

/* What cannot be served leaves what there was. */
static void
take_bundle(struct certificate_entry *c)
{
    cleanup(strbuf_done) struct strbuf bundle = {0};
    char fingerprint[41] = "";
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_COUNT(c->given); i++)
        strbuf_add_cstr(&bundle, json_cstr(c->given[i], ""));
    c->problem[0] = '\0';
    if (!x509_is_servable(strbuf_str(&bundle), fingerprint, &err)) {
        text_copy(c->problem, sizeof(c->problem), str_slice(str_of(err.message), 0, sizeof(c->problem) - 1));
        log_error("certificate.broken", "certificate=%s error=%s", c->id, log_quote(c->problem));
        return;
    }
    strbuf_done(&c->bundle);
    c->bundle = bundle;
    bundle = (struct strbuf){0};
    memcpy(c->fingerprint, fingerprint, sizeof(c->fingerprint));
    sha256_hex(strbuf_str(&c->bundle), c->digest);
    c->is_refused = false;
}

static void
apply_one(struct balancer *b, const struct view_certificate *v)
{
    struct json *const given[] = {v->body, v->chain, v->private_key};
    struct certificate_entry *c;
    bool is_same;

    if (!is_plain(v->id))
        return;
    c = certificate_entry(b, v->id);
    c->is_seen = true;
    is_same = c->given[0] != NULL;
    for (size_t i = 0; i < ARRAY_COUNT(given); i++)
        is_same = is_same && strcmp(json_cstr(c->given[i], ""), json_cstr(given[i], "")) == 0;
    if (is_same)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(given); i++) {
        json_unref(c->given[i]);
        c->given[i] = given[i] != NULL ? json_ref(given[i]) : NULL;
    }
    take_bundle(c);
}

static void
drop_content(struct certificate_entry *c)
{
    for (size_t i = 0; i < ARRAY_COUNT(c->given); i++)
        json_unref(TAKE(c->given[i]));
    strbuf_done(&c->bundle);
    c->digest[0] = c->problem[0] = '\0';
}

void
certificates_apply(struct balancer *b, const struct balancer_view *view)
{
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next)
        c->is_seen = false;
    for (int i = 0; i < view->certificate_count; i++)
        apply_one(b, &view->certificates[i]);
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next)
        if (!c->is_seen)
            drop_content(c);
    certificates_drop(b);
}

/* Those that nobody has any more, neither the view nor HAProxy. */
void
certificates_drop(struct balancer *b)
{
    for (struct certificate_entry **at = &b->certificates; *at != NULL;) {
        struct certificate_entry *c = *at;
        if (c->given[0] != NULL || c->is_there || c->written[0] != '\0') {
            at = &c->next;
            continue;
        }
        *at = c->next;
        strbuf_done(&c->bundle);
        free(c);
    }
}

void
certificates_free(struct balancer *b)
{
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next) {
        drop_content(c);
        c->is_there = false;
        c->written[0] = '\0';
    }
    certificates_drop(b);
}

void
id_list_add(struct id_list *list, const char *id)
{
    list->at = mem_grow(list->at, (size_t)list->count + 1, sizeof(*list->at));
    text_copy(list->at[list->count++], CERTIFICATE_ID_SIZE, str_of(id));
}

void
id_list_clear(struct id_list *list)
{
    free(list->at);
    *list = (struct id_list){0};
}

bool
id_list_has(const struct id_list *list, const char *id)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->at[i], id) == 0)
            return true;
    return false;
}

static void
add_revocations(const struct view_trust *t, struct strbuf *out)
{
    for (size_t i = 0; i < json_size(t->revocations); i++)
        strbuf_add_cstr(out, json_get_cstr(json_at(t->revocations, i), "Lists", ""));
}

static void
digest_trust(const struct view_trust *t, char out[static SHA256_HEX + 1])
{
    cleanup(strbuf_done) struct strbuf all = {0};

    strbuf_add_cstr(&all, json_cstr(t->bundle, ""));
    add_revocations(t, &all);
    sha256_hex(strbuf_str(&all), out);
}

void
frontend_tls_apply(struct frontend *f, struct view_listener *v)
{
    f->tls.policy = v->policy;
    f->tls.has_http2 = v->has_http2;
    id_list_clear(&f->tls.wanted);
    for (int i = 0; i < v->certificate_count; i++)
        id_list_add(&f->tls.wanted, v->certificate_ids[i]);
    if (v->trust.bundle != f->tls.trust.bundle || v->trust.revocations != f->tls.trust.revocations)
        digest_trust(&v->trust, f->tls.trust_digest); /* else they are the same documents */
    json_unref(f->tls.trust.bundle);
    json_unref(f->tls.trust.revocations);
    f->tls.trust = v->trust;
    v->trust.bundle = v->trust.revocations = NULL;
}

void
frontend_tls_free(struct frontend *f)
{
    id_list_clear(&f->tls.wanted);
    id_list_clear(&f->tls.has);
    id_list_clear(&f->tls.written);
    json_unref(TAKE(f->tls.trust.bundle));
    json_unref(TAKE(f->tls.trust.revocations));
}

/* ---- loading ---- */

/* Text that changes with the content of what only a reload brings. */
static void
note_large(const struct balancer *b, const struct frontend *f, struct strbuf *out)
{
    for (int i = 0; i < f->tls.wanted.count; i++) {
        const struct certificate_entry *c = find(b, f->tls.wanted.at[i]);
        if (is_usable(c) && certificate_is_large(c))
            strbuf_addf(out, "    # large certificate %s %s\n", c->id, c->digest);
    }
}

static struct config_trust
setup_trust(const struct frontend *f)
{
    const struct view_trust *t = &f->tls.trust;

    return (struct config_trust){t->id[0] != '\0' ? t->id : NULL, f->tls.trust_digest, t->ignores_expiry, t->shows_names,
                                 t->revocations != NULL, t->is_passed_on};
}

bool
certificates_setup(const struct balancer *b, const struct frontend *f, struct config_tls *out, char *why, size_t size)
{
    const struct certificate_entry *first = NULL, *lost;

    for (int i = 0; i < f->tls.wanted.count && first == NULL; i++)
        if (certificate_is_usable(b, f->tls.wanted.at[i]))
            first = find(b, f->tls.wanted.at[i]);
    if (first == NULL) {
        lost = f->tls.wanted.count > 0 ? find(b, f->tls.wanted.at[0]) : NULL;
        snprintf(why, size, "no certificate of it can be served: %s", lost != NULL ? lost->problem : "there is none");
        return false;
    }
    if (out != NULL) {
        cleanup(strbuf_done) struct strbuf large = {0};
        note_large(b, f, &large);
        *out = (struct config_tls){.policy = f->tls.policy,
                                   .has_http2 = f->tls.has_http2,
                                   .default_id = first->id,
                                   .trust = setup_trust(f),
                                   .large = large.len > 0 ? strbuf_take(&large) : text_dup("")};
    }
    return true;
}

bool
certificate_write(const char *folder, const struct certificate_entry *c, struct err *err)
{
    cleanup_free char *path = text_format("%s/certs/%s.pem", folder, c->id);

    return file_write_atomic(path, strbuf_str(&c->bundle), 0600, err);
}

static bool
write_list(const struct balancer *b, const char *folder, const struct frontend *f, struct err *err)
{
    cleanup_free char *path = text_format("%s/certs/%s.list", folder, f->id);
    cleanup(strbuf_done) struct strbuf lines = {0};

    for (int i = 0; i < f->tls.wanted.count; i++)
        if (certificate_is_usable(b, f->tls.wanted.at[i]))
            strbuf_addf(&lines, "certs/%s.pem\n", f->tls.wanted.at[i]);
    return file_write_atomic(path, strbuf_str(&lines), 0600, err);
}

/* HAProxy asks for certificates only where it has authorities: those that it passes on are of anybody. */
static bool
write_any_authority(const struct balancer *b, const struct frontend *f, const char *path, struct err *err)
{
    const struct certificate_entry *first = NULL;

    for (int i = 0; i < f->tls.wanted.count && first == NULL; i++)
        if (certificate_is_usable(b, f->tls.wanted.at[i]))
            first = find(b, f->tls.wanted.at[i]);
    return first == NULL || file_write_atomic(path, str_of(json_cstr(first->given[0], "")), 0600, err);
}

/* The authorities of its clients, and what they took back; several listeners may have the same. */
static bool
write_trust(const struct balancer *b, const char *folder, const struct frontend *f, struct err *err)
{
    const struct view_trust *t = &f->tls.trust;
    cleanup_free char *path = text_format("%s/certs/%s.ca", folder, t->id);
    cleanup_free char *list_path = text_format("%s/certs/%s.crl", folder, t->id);
    cleanup(strbuf_done) struct strbuf lists = {0};

    if (t->id[0] == '\0' || file_exists(path))
        return true;
    if (t->is_passed_on)
        return write_any_authority(b, f, path, err);
    add_revocations(t, &lists);
    return (t->revocations == NULL || file_write_atomic(list_path, strbuf_str(&lists), 0600, err)) &&
           file_write_atomic(path, str_of(json_cstr(t->bundle, "")), 0600, err);
}

bool
certificates_write(const struct balancer *b, const char *folder, struct err *err)
{
    cleanup_free char *certs = text_format("%s/certs", folder);

    if (!file_make_dirs(certs, 0700, err))
        return false;
    for (const struct certificate_entry *c = b->certificates; c != NULL; c = c->next)
        if (is_usable(c) && !certificate_write(folder, c, err))
            return false;
    for (const struct frontend *f = b->frontends; f != NULL; f = f->next)
        if (f->tls.policy != NULL && f->blocked[0] == '\0' &&
            (!write_list(b, folder, f, err) || !write_trust(b, folder, f, err)))
            return false;
    return true;
}

void
certificates_remember(struct balancer *b)
{
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next)
        c->written[0] = '\0';
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        id_list_clear(&f->tls.written);
        for (int i = 0; i < f->tls.wanted.count && f->is_written; i++) {
            struct certificate_entry *c = find(b, f->tls.wanted.at[i]);
            if (!is_usable(c))
                continue;
            id_list_add(&f->tls.written, c->id);
            memcpy(c->written, c->digest, sizeof(c->written));
        }
    }
}

void
certificates_loaded(struct balancer *b)
{
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next) {
        memcpy(c->has, c->written, sizeof(c->has));
        c->is_there = c->written[0] != '\0';
        c->written[0] = '\0';
    }
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        id_list_clear(&f->tls.has);
        f->tls.has = f->tls.written;
        f->tls.written = (struct id_list){0};
    }
    certificates_drop(b);
}

void
certificates_forget(struct balancer *b)
{
    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next) {
        c->is_there = false;
        c->has[0] = c->written[0] = '\0';
    }
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        id_list_clear(&f->tls.has);
        id_list_clear(&f->tls.written);
    }
    certificates_drop(b);
}

/* ---- what cannot be served ---- */

void
certificate_refuse(struct certificate_entry *c, struct str why)
{
    c->is_refused = true;
    text_copy(c->problem, sizeof(c->problem), str_slice(str_trim(why), 0, sizeof(c->problem) - 1));
    for (char *p = c->problem; *p != '\0'; p++)
        *p = *p == '\n' ? ' ' : *p;
    log_error("certificate.refused", "certificate=%s error=%s", c->id, log_quote(c->problem));
}

bool
certificates_blame(struct balancer *b, const char *why)
{
    bool is_any = false;

    for (struct certificate_entry *c = b->certificates; c != NULL; c = c->next) {
        cleanup_free char *file = text_format("certs/%s.pem", c->id);
        if (!is_usable(c) || strstr(why, file) == NULL)
            continue;
        certificate_refuse(c, str_of(why));
        is_any = true;
    }
    return is_any;
}

bool
certificates_problem(const struct balancer *b, char *out, size_t size)
{
    for (const struct certificate_entry *c = b->certificates; c != NULL; c = c->next) {
        const struct frontend *f = b->frontends;
        while (f != NULL && !id_list_has(&f->tls.wanted, c->id))
            f = f->next;
        if (c->problem[0] == '\0' || f == NULL)
            continue;
        snprintf(out, size, "certificate %s of listener %s cannot be served: %s", c->id, f->id, c->problem);
        return true;
    }
    return false;
}
