/* SPDX-License-Identifier: MIT */
/* certificates.h - the certificates of HTTPS listeners, on their way to HAProxy (alb.md B4).
 * Each is a file certs/<id>.pem, whose content changes at run time (set, commit) under the same name;
 * each listener has a list certs/<listener>.list, the default one first, to which the others are added
 * and from which they are taken at run time, too.  A reload brings a new default and whatever is too
 * large for a command.
 * One that no server would take never gets to HAProxy: the listeners go on with what they had, or
 * without it, and certificates_problem() says why.  One that HAProxy refuses nevertheless is left out.
 * Whom a listener lets in is decided by a file certs/<trust store>.ca (and .crl), which only a reload changes.
 * What HAProxy has is read back: fingerprints and lists, and compared with what it was given.
 * Shared by the files of this room only; the loop's thread. */
#pragma once
#include "balancer/traffic.h"

struct certificate_entry {
    char id[CERTIFICATE_ID_SIZE];
    bool is_seen;        /* in the view being applied */
    struct json *given[3]; /* body, chain, private key as the view has them: asked whether they changed */
    struct strbuf bundle; /* the file's text; empty: nothing that can be served */
    char digest[SHA256_HEX + 1]; /* of the bundle */
    char fingerprint[41];        /* as HAProxy shows it */
    char problem[200];           /* why what was given is not served; empty: it is */
    bool is_refused;             /* by HAProxy, as it is now */
    bool is_there;               /* HAProxy has one of that name */
    char has[SHA256_HEX + 1];    /* its digest; empty: another content, or not known */
    char written[SHA256_HEX + 1];
    struct certificate_entry *next; /* by id */
};

void certificates_apply(struct balancer *b, const struct balancer_view *view);
void certificates_free(struct balancer *b);
void frontend_tls_apply(struct frontend *f, struct view_listener *v);
void frontend_tls_free(struct frontend *f);

/* What the configuration needs of a listener; `out` may be NULL, and its text `large` is the caller's.  False:
 * nothing can be served, and why. */
bool certificates_setup(const struct balancer *b, const struct frontend *f, struct config_tls *out,
                        char *why, size_t size);
bool certificates_write(const struct balancer *b, const char *folder, struct err *err) MUST_CHECK; /* the files of a load */
void certificates_remember(struct balancer *b);
void certificates_loaded(struct balancer *b);
void certificates_forget(struct balancer *b); /* HAProxy has none */
bool certificates_learn(struct balancer *b, struct err *err) MUST_CHECK;
/* The difference; lists only where the structure is in force.  False: ask what HAProxy has. */
bool certificates_sync(struct balancer *b) MUST_CHECK;
/* A load failed: is it a certificate's fault?  Then it is left out from now on. */
bool certificates_blame(struct balancer *b, const char *why);
/* ---- between certificates.c and certificates_sync.c ---- */
struct certificate_entry *certificate_entry(struct balancer *b, const char *id); /* made if it is new */
bool certificate_is_usable(const struct balancer *b, const char *id);
bool certificate_is_large(const struct certificate_entry *c); /* for a command */
bool certificate_write(const char *folder, const struct certificate_entry *c, struct err *err) MUST_CHECK;
void certificate_refuse(struct certificate_entry *c, struct str why); /* HAProxy does */
void certificates_drop(struct balancer *b);
void id_list_add(struct id_list *list, const char *id);
void id_list_clear(struct id_list *list);
bool id_list_has(const struct id_list *list, const char *id);

bool certificates_problem(const struct balancer *b, char *out, size_t size); /* false: none */
