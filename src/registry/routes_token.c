/* SPDX-License-Identifier: MIT */
/* routes_token.c - how to get in: the challenge of a 401, and /v2/token, which gives Bearer tokens
 * for scopes ("repository:<name>:pull,push") to whoever comes with a password. GET takes Basic and
 * the query; POST a form with grant_type=password, username and password, as OAuth has it. Actions
 * that the visitor may not do are left out of the token, as the token protocol wants it. */
#include "base/clock.h"
#include "base/uri.h"
#include "registry/routes.h"

#define SCOPES_MAX 32

/* ---- the challenge ---- */

/* The host as the client knows it, if it is one; it comes back in a quoted text. */
static const char *
host_asked(const struct call *c)
{
    struct str host = http_header_get(c->x, "Host");

    for (size_t i = 0; i < host.len; i++) {
        const char h = host.at[i];
        if (!((h >= 'a' && h <= 'z') || (h >= 'A' && h <= 'Z') || (h >= '0' && h <= '9') ||
              strchr(".-:[]_", h) != NULL))
            return c->reg->host;
    }
    return host.len > 0 && host.len < 256 ? arena_cstr(&c->x->arena, host) : c->reg->host;
}

/* Behind a proxy that ends TLS the client comes back the same way. */
static bool
is_secure(const struct call *c)
{
    return c->x->is_secure || str_is(http_header_get(c->x, "X-Forwarded-Proto"), "https");
}

static const char *
visits_text(unsigned visits)
{
    static const char *const texts[] = {"",       "pull",        "push",        "pull,push",
                                        "delete", "pull,delete", "push,delete", "pull,push,delete"};
    return texts[visits & 7];
}

void
challenge_add(struct call *c, struct reply *r, unsigned visits, bool is_insufficient)
{
    const char *host = host_asked(c), *scope = "";

    if (c->route.kind == ROUTE_CATALOG)
        scope = ",scope=\"" SCOPE_CATALOG "\"";
    else if (visits != 0)
        scope = arena_format(&c->x->arena, ",scope=\"repository:" STR_FMT ":%s\"",
                             STR_ARG(c->route.name),
                             visits_text(visits == VISIT_PUSH ? VISIT_PULL | VISIT_PUSH : visits));
    reply_header(r, "Www-Authenticate",
                 arena_format(&c->x->arena, "Bearer realm=\"%s://%s/v2/token\",service=\"%s\"%s%s",
                              is_secure(c) ? "https" : "http", host, host, scope,
                              is_insufficient ? ",error=\"insufficient_scope\"" : ""));
    /* Docker gives up on Basic where nobody has logged in, even if Bearer would do. */
    if (!visitor_nobody_is_welcome(c->reg))
        reply_header(r, "Www-Authenticate", "Basic realm=\"naru\"");
}

/* ---- scopes ---- */

static unsigned
visits_read(struct str actions)
{
    unsigned visits = 0;
    struct str one;

    while (str_split(&actions, ',', &one)) {
        if (str_is(one, "pull"))
            visits |= VISIT_PULL;
        else if (str_is(one, "push"))
            visits |= VISIT_PUSH;
        else if (str_is(one, "delete"))
            visits |= VISIT_DELETE;
        else if (str_is(one, "*"))
            visits |= VISIT_PULL | VISIT_PUSH | VISIT_DELETE;
    }
    return visits;
}

/* What policies allow beyond the role. A right to one action of several is enough: each request
 * asks again, and a token without the scope is refused first. */
static unsigned
visits_allowed(const struct call *c, const char *region, const char *repository)
{
    static const struct {
        const char *action;
        unsigned visit;
    } asked[] = {
        {"ecr:BatchGetImage", VISIT_PULL},       {"ecr:GetDownloadUrlForLayer", VISIT_PULL},
        {"ecr:ListImages", VISIT_PULL},          {"ecr:PutImage", VISIT_PUSH},
        {"ecr:InitiateLayerUpload", VISIT_PUSH}, {"ecr:UploadLayerPart", VISIT_PUSH},
        {"ecr:CompleteLayerUpload", VISIT_PUSH}, {"ecr:BatchDeleteImage", VISIT_DELETE}};
    const struct registry_caller caller = call_caller(c);
    const int64_t now_ms = clock_wall_ms();
    unsigned visits = 0;

    for (size_t i = 0; c->visitor.kind == VISITOR_KEY && i < ARRAY_COUNT(asked); i++)
        if (registry_policy_says(c->reg, region, repository, asked[i].action, &caller, now_ms) ==
            REGISTRY_ALLOWS)
            visits |= asked[i].visit;
    return visits;
}

/* Whoever may list repositories; a token gives no wider one. */
static void
catalog_grant(const struct call *c, struct json *granted)
{
    if (visitor_may_list(&c->visitor))
        json_set(granted, SCOPE_CATALOG, json_int(VISIT_PULL));
}

/* "repository:team/app:pull,push"; a name may hold ':' only as a host's port, so the ends decide.
 */
static void
scope_grant(struct call *c, struct str scope, struct json *granted)
{
    const ptrdiff_t first = str_index(scope, ':'), last = str_rindex(scope, ':');
    char region_text[REGISTRY_REGION_SIZE], repository_text[REGISTRY_NAME_SIZE];
    struct str region, repository;

    if (str_is(scope, SCOPE_CATALOG))
        catalog_grant(c, granted);
    if (first < 0 || last <= first || !str_is(str_slice(scope, 0, (size_t)first), "repository"))
        return;
    struct str name = str_slice(scope, (size_t)first + 1, (size_t)last);
    if (!registry_name_split(c->reg, name, &region, &repository))
        return;
    if (repository.at == name.at)
        region = region_asked(c);
    if (!text_copy(region_text, sizeof region_text, region) ||
        !text_copy(repository_text, sizeof repository_text, repository))
        return;
    cleanup_free char *key = str_dup(name);
    const unsigned visits = visits_read(str_slice(scope, (size_t)last + 1, scope.len)) &
                            visitor_scope(&c->visitor, name) & /* a token gives no wider one */
                            (visitor_may(c->reg, &c->visitor, region_text, repository_text) |
                             visits_allowed(c, region_text, repository_text));
    json_set(granted, key, json_int(visits | (unsigned)json_get_i64(granted, key, 0)));
}

/* A client may send several parameters `scope`, each of several scopes. */
static struct json *
scopes_grant(struct call *c, struct str form)
{
    struct json *granted = json_object();
    struct str pair, name;
    int count = 0;

    while (str_split(&form, '&', &pair)) {
        cleanup(strbuf_done) struct strbuf value = {0};
        if (!str_split(&pair, '=', &name) || !str_is(name, "scope") ||
            !uri_decode(&value, pair, /* plus_is_space= */ true))
            continue;
        struct str rest = strbuf_str(&value), one;
        while (str_split(&rest, ' ', &one) && count++ < SCOPES_MAX)
            scope_grant(c, one, granted);
    }
    return granted;
}

/* ---- the answer ---- */

/* Whoever comes with a token gets none that outlives it: nobody lives for ever on the first one. */
static int64_t
token_until(const struct call *c, int64_t now_ms)
{
    const int64_t until_ms = now_ms + REGISTRY_TOKEN_LIFE_MS, old_ms = c->visitor.until_ms;

    return old_ms > 0 && old_ms < until_ms ? old_ms : until_ms;
}

static void
token_send(struct call *c, struct str form)
{
    const int64_t now_ms = clock_wall_ms(), until_ms = token_until(c, now_ms);
    cleanup(strbuf_done) struct strbuf token = {0};
    cleanup_json struct json *scopes = scopes_grant(c, form), *answer = json_object();
    char issued[32];
    struct reply r = {0};

    /* naru's own password stays naru's own: it has no key that a token could name. */
    if (c->visitor.kind == VISITOR_NARU)
        token_write_naru(c->reg, until_ms, &token);
    else
        token_write(c->reg, c->visitor.kind == VISITOR_KEY ? c->visitor.key.id : "", scopes, until_ms,
                    &token);
    clock_format_iso(now_ms, issued);
    json_set(answer, "token", json_str(strbuf_str(&token)));
    json_set(answer, "access_token", json_str(strbuf_str(&token)));
    json_set(answer, "expires_in", json_int((until_ms - now_ms) / 1000));
    json_set(answer, "issued_at", json_text(issued));
    cleanup_free char *text = json_format(answer);
    reply_header(&r, "Content-Type", "application/json; charset=utf-8");
    reply_header(&r, "Cache-Control", "no-store");
    reply_send(c, &r, 200, str_of(text));
}

static bool
form_login(struct call *c, struct str form, struct err *err)
{
    cleanup(strbuf_done) struct strbuf grant = {0}, user = {0}, password = {0};

    if (!uri_query_get(form, "grant_type", &grant) || !str_is(strbuf_str(&grant), "password"))
        return err_set(err, ERR_REGISTRY_UNSUPPORTED, "only grant_type=password is known here");
    if (!uri_query_get(form, "username", &user) || !uri_query_get(form, "password", &password))
        return err_set(err, ERR_REGISTRY_UNAUTHORIZED, "the form has no username or no password");
    visitor_done(&c->visitor);
    if (!visitor_login(c->reg, c->x, strbuf_str(&user), strbuf_str(&password), &c->visitor, err))
        return false;
    c->principal = call_principal(c);
    return true;
}

bool
token_end(struct call *c, struct err *err)
{
    if (str_is(c->x->method, "GET")) {
        token_send(c, c->x->query);
        return true;
    }
    if (!str_is(c->x->method, "POST"))
        return err_set(err, ERR_REGISTRY_UNSUPPORTED, "tokens are given to GET and POST");
    if (!form_login(c, strbuf_str(&c->body), err))
        return false;
    token_send(c, strbuf_str(&c->body));
    return true;
}
