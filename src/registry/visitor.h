/* SPDX-License-Identifier: MIT */
/* visitor.h - who calls the registry, and what they may do there.
 * A visitor is nobody, naru itself (its agent's pulls), or the holder of an access key, who came
 * with the key itself (Basic, id and secret), with a password of GetAuthorizationToken (Basic,
 * AWS), or with a token of /v2/token (Bearer), which holds the scopes that were asked for and
 * granted. What one may do: the key's role and repositories (io/access_keys.h, model/role.h),
 * narrowed by the token's scopes; nobody may pull from repositories whose tag naru:anonymousPull is
 * true. */
#pragma once
#include "io/access_keys.h"
#include "model/role.h"
#include "registry/internal.h"

#define SCOPE_CATALOG "registry:catalog:*" /* of a token that lists repositories; no name of one has a '*' */

enum visitor_kind { VISITOR_NOBODY, VISITOR_NARU, VISITOR_KEY };
enum visit { VISIT_PULL = 1, VISIT_PUSH = 2, VISIT_DELETE = 4 };

struct visitor {
    enum visitor_kind kind;
    struct access_key key; /* VISITOR_KEY */
    enum role role;
    bool has_scopes;
    struct json *scopes; /* of the token: {"<name>": visits, ...}; NULL: none */
    int64_t until_ms;    /* when the token or the session ends; 0: it was none */
};

/* Reads the Authorization header; `out` is zeroed before, as it is after a failure. False: the credentials are wrong (REGISTRY_UNAUTHORIZED) or the
 * visitor has guessed too often (THROTTLING); without any it is nobody. */
bool visitor_read(struct registry *reg, const struct http_exchange *x, struct visitor *out,
                  struct err *err) MUST_CHECK;
/* The same of a user's name and password. */
bool visitor_login(struct registry *reg, const struct http_exchange *x, struct str user,
                   struct str password, struct visitor *out, struct err *err) MUST_CHECK;
void visitor_done(struct visitor *v); /* and it is nobody */
/* For lines of the log: "root", the key's name, "naru" or "nobody". */
const char *visitor_name(const struct visitor *v);
/* The same for the audit log, as access_key_log_name() has it. */
void visitor_log_name(const struct visitor *v, char out[static KEY_LOG_NAME_SIZE]);

/* What the visitor may do, whatever the token's scopes say. */
unsigned visitor_may(struct registry *reg, const struct visitor *v, const char *region,
                     const char *repository);
/* May the visitor list repositories, by the key's role and the token's scopes? */
bool visitor_may_list(const struct visitor *v);
/* What the scopes leave of everything; `name` as the client wrote it. */
unsigned visitor_scope(const struct visitor *v, struct str name);
/* Is there a repository from which nobody in particular may pull? All are looked at after one was opened or closed
 * only, by one thread: to the others it is meanwhile as it was; the first time they wait for it. */
bool visitor_nobody_is_welcome(struct registry *reg);

/* ---- token.c ---- */
/* 32 scopes of the longest names, in base64, fit. */
#define VISITOR_TOKEN_MAX 24576
struct token {
    bool is_naru;        /* without a key: naru's own */
    char key_id[64];     /* empty: nobody's */
    struct json *scopes; /* or NULL; the caller's */
    int64_t until_ms;
};
/* Out of `tokens`, if it was right before: the signature and what it says are the same then, the time is not. */
bool token_read(const struct registry *reg, struct str text, int64_t now_ms, struct token *out);
/* `scopes` may be NULL: all that the key may. */
void token_write(const struct registry *reg, const char *key_id, const struct json *scopes,
                 int64_t until_ms, struct strbuf *out);
void token_write_naru(const struct registry *reg, int64_t until_ms, struct strbuf *out);
