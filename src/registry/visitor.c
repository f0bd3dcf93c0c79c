/* SPDX-License-Identifier: MIT */
#include "registry/visitor.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/audit.h"
#include "io/guard.h"
#include "registry/reference.h"

#define OPEN_RETRY_MS 1000
#define HEADER_MAX (VISITOR_TOKEN_MAX + 1024)

void
visitor_done(struct visitor *v)
{
    json_unref(v->scopes);
    *v = (struct visitor){0};
}

const char *
visitor_name(const struct visitor *v)
{
    if (v->kind != VISITOR_KEY)
        return v->kind == VISITOR_NARU ? "naru" : "nobody";
    return v->key.name[0] != '\0' ? v->key.name : "root";
}

void
visitor_log_name(const struct visitor *v, char out[static KEY_LOG_NAME_SIZE])
{
    if (v->kind == VISITOR_KEY)
        access_key_log_name(&v->key, out);
    else
        text_copy_all(out, KEY_LOG_NAME_SIZE, visitor_name(v));
}

/* ---- who ---- */

static bool
visitor_of_key(struct registry *reg, struct str id, struct visitor *out)
{
    if (reg->keys == NULL || !access_keys_find(reg->keys, id, &out->key) ||
        !roles_parse(str_of(out->key.role), &out->role))
        return false;
    out->kind = VISITOR_KEY;
    if (out->key.depth > 0 && (out->until_ms == 0 || out->key.until_ms < out->until_ms))
        out->until_ms = out->key.until_ms; /* nothing that it gets lives longer than the session */
    return true;
}

static bool
visitor_of_token(struct registry *reg, struct str text, struct visitor *out)
{
    struct token token = {0};

    if (!token_read(reg, text, clock_wall_ms(), &token))
        return false;
    out->kind = token.is_naru ? VISITOR_NARU : VISITOR_NOBODY;
    out->has_scopes = token.scopes != NULL;
    out->scopes = token.scopes;
    out->until_ms = token.until_ms;
    return token.key_id[0] == '\0' || visitor_of_key(reg, str_of(token.key_id), out);
}

static bool
is_password(struct registry *reg, struct str user, struct str password, struct visitor *out)
{
    return visitor_of_key(reg, user, out) && crypto_equal(password, str_of(out->key.secret)) &&
           out->key.token[0] == '\0'; /* a session's keys are three, and here is room for two */
}

/* One expired login of a machine must not keep out all its others: what fails with user AWS or
 * Bearer is a token, which nobody can guess. */
static struct str
guarded(struct str user)
{
    return str_is(user, "AWS") || str_is(user, "Bearer") ? (struct str){0} : user;
}

/* Before a secret is looked at: has this visitor guessed too often? */
static bool
guard_check(struct registry *reg, const struct http_exchange *x, struct str user, struct err *err)
{
    const int64_t wait_ms =
        reg->guard != NULL ? guard_wait_ms(reg->guard, x->peer, guarded(user), clock_monotonic_ms())
                           : 0;

    return wait_ms == 0 ||
           err_set(err, ERR_THROTTLING, "too many wrong passwords; try again in %lld ms",
                   (long long)wait_ms);
}

static bool
wrong(struct registry *reg, const struct http_exchange *x, struct str user, struct err *err)
{
    cleanup_free char *name = str_dup(str_slice(user, 0, 64));

    if (!guard_check(reg, x, user, err))
        return false; /* nor is there a line for each: a flood of them would push out all others */
    if (reg->guard != NULL)
        guard_failed(reg->guard, x->peer, guarded(user), clock_monotonic_ms());
    audit_line(reg->audit, "registry.login_failed", "user=%s peer=" STR_FMT " request_id=%s",
               log_quote(name), STR_ARG(x->peer), x->request_id);
    return err_set(err, ERR_REGISTRY_UNAUTHORIZED,
                   "Your authorization token is missing, wrong or has expired. Run 'aws ecr "
                   "get-login-password' and log in with user AWS again.");
}

/* Whose token is right does not wait, whoever else of that address is wrong. */
static bool
token_login(struct registry *reg, const struct http_exchange *x, struct str user, struct str token,
            struct visitor *out, struct err *err)
{
    if (visitor_of_token(reg, token, out))
        return true;
    visitor_done(out);
    return wrong(reg, x, user, err);
}

bool
visitor_login(struct registry *reg, const struct http_exchange *x, struct str user,
              struct str password, struct visitor *out, struct err *err)
{
    if (str_is(user, "AWS"))
        return token_login(reg, x, user, password, out, err);
    if (!guard_check(reg, x, user, err))
        return false;
    if (!is_password(reg, user, password, out)) {
        visitor_done(out);
        return wrong(reg, x, user, err);
    }
    if (reg->guard != NULL)
        guard_passed(reg->guard, x->peer, user);
    return true;
}

bool
visitor_read(struct registry *reg, const struct http_exchange *x, struct visitor *out,
             struct err *err)
{
    cleanup(strbuf_done) struct strbuf pair = {0};
    struct str header = str_trim(http_header_get(x, "Authorization"));
    const ptrdiff_t blank = str_index(header, ' ');

    if (header.len == 0)
        return true;
    if (blank < 0 || header.len > HEADER_MAX)
        return wrong(reg, x, STR("?"), err);
    struct str scheme = str_slice(header, 0, (size_t)blank);
    struct str value = str_trim(str_slice(header, (size_t)blank, header.len));
    if (str_equal_nocase(scheme, STR("Basic"))) {
        struct str user;
        if (!base64_decode(&pair, value))
            return wrong(reg, x, STR("?"), err);
        struct str password = strbuf_str(&pair);
        return str_split(&password, ':', &user) ? visitor_login(reg, x, user, password, out, err)
                                                : wrong(reg, x, STR("?"), err);
    }
    return str_equal_nocase(scheme, STR("Bearer"))
               ? token_login(reg, x, STR("Bearer"), value, out, err)
               : wrong(reg, x, STR("?"), err);
}

/* ---- what ---- */

static bool
repository_is_open(struct registry *reg, const char *region, const char *name)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};

    return registry_repository_get(reg, region, name, &r, NULL) && repository_document_is_open(r.document);
}

unsigned
visitor_may(struct registry *reg, const struct visitor *v, const char *region,
            const char *repository)
{
    unsigned may = 0;

    if (v->kind == VISITOR_NARU)
        return VISIT_PULL | VISIT_PUSH | VISIT_DELETE;
    if (v->kind == VISITOR_KEY && names_match_all(str_of(v->key.repositories), str_of(repository))) {
        may |= role_allows(v->role, "ecr", "GetDownloadUrlForLayer") ? VISIT_PULL : 0;
        may |= role_allows(v->role, "ecr", "PutImage") ? VISIT_PUSH : 0;
        may |= role_allows(v->role, "ecr", "BatchDeleteImage") ? VISIT_DELETE : 0;
    }
    if (!(may & VISIT_PULL) && repository_is_open(reg, region, repository))
        may |= VISIT_PULL;
    return may;
}

bool
visitor_may_list(const struct visitor *v)
{
    return (v->kind == VISITOR_NARU ||
            (v->kind == VISITOR_KEY && role_allows(v->role, "ecr", "DescribeRepositories"))) &&
           visitor_scope(v, STR(SCOPE_CATALOG)) != 0;
}

unsigned
visitor_scope(const struct visitor *v, struct str name)
{
    cleanup_free char *key = str_dup(name);

    return v->has_scopes ? (unsigned)json_get_i64(v->scopes, key, 0)
                         : VISIT_PULL | VISIT_PUSH | VISIT_DELETE;
}

struct search {
    struct registry *reg;
    bool has_missed; /* one that could not be read */
};

static bool
look_for_open(void *arg, const char *region, const char *name, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};
    struct search *s = arg;

    (void)err;
    if (registry_repository_get(s->reg, region, name, &r, NULL))
        return !repository_document_is_open(r.document);
    s->has_missed |= repository_check(s->reg, region, name, NULL); /* else it was deleted */
    return true;
}

static bool
is_open_known(struct registry *reg)
{
    return atomic_load(&reg->open_seen) == atomic_load(&reg->open_changed) + 1;
}

/* With the lock held. Ends early when it finds one; a fault of the disk counts as none, and a second later all are
 * looked at again. */
static void
look_again(struct registry *reg)
{
    const unsigned changed = atomic_load(&reg->open_changed);
    struct search s = {.reg = reg};
    struct err err = {0};

    if (is_open_known(reg) || clock_monotonic_ms() - atomic_load(&reg->open_failed_ms) < OPEN_RETRY_MS)
        return;
    const bool none = repository_each(reg, look_for_open, &s, &err);
    atomic_store(&reg->is_open, !none && err.code == ERR_NONE);
    if (err.code == ERR_NONE && !(none && s.has_missed))
        atomic_store(&reg->open_seen, changed + 1);
    else
        atomic_store(&reg->open_failed_ms, clock_monotonic_ms());
}

bool
visitor_nobody_is_welcome(struct registry *reg)
{
    const bool is_first = atomic_load(&reg->open_seen) == 0 && atomic_load(&reg->open_failed_ms) == OPEN_FAILED_NEVER;

    if (!is_open_known(reg) && (is_first ? pthread_mutex_lock(&reg->open_lock)
                                         : pthread_mutex_trylock(&reg->open_lock)) == 0) {
        look_again(reg);
        pthread_mutex_unlock(&reg->open_lock);
    }
    return atomic_load(&reg->is_open);
}
