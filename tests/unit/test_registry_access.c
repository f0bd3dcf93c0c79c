/* SPDX-License-Identifier: MIT */
/* Who gets into the registry, and what for. */
#include "registry_world.h"

#include "base/uri.h"
#include "io/access_keys.h"
#include "io/audit.h"
#include "io/guard.h"
#include "io/role_map.h"
#include "model/role.h"
#include "registry/visitor.h"

#define NOTHING ((struct str){0})

/* A registry with keys, and the header of one of them. */
struct door {
    struct world w;
    struct access_keys *keys;
    struct guard *guard;
    struct audit *audit;
    char *keys_path, *audit_path;
    struct access_key root;
};

static void
door_new(struct door *d)
{
    struct err err = {0};

    world_make(&d->w, world_open);
    d->keys_path = text_format("%s/keys.json", d->w.dir);
    d->audit_path = text_format("%s/audit.log", d->w.dir);
    d->keys = access_keys_new(d->keys_path, "AKIAROOT", "root secret");
    d->guard = guard_new();
    d->audit = audit_open(d->audit_path, &err);
    CHECK(d->audit != NULL);
    registry_set_access(d->w.reg, d->keys, d->guard, d->audit);
    d->w.token[0] = '\0';
}

static void
door_end(struct door *d)
{
    world_end(&d->w);
    audit_close(d->audit);
    guard_free(d->guard);
    access_keys_free(d->keys);
    free(d->keys_path);
    free(d->audit_path);
}
#define DOOR(d)                      \
    cleanup(door_end) struct door d; \
    door_new(&d)

static struct access_key
make_key(struct door *d, const char *name, const char *role, const char *repositories)
{
    struct access_key key = {0};
    struct err err = {0};

    text_copy_all(key.name, sizeof key.name, name);
    text_copy_all(key.role, sizeof key.role, role);
    text_copy_all(key.repositories, sizeof key.repositories, repositories);
    CHECK(access_keys_create(d->keys_path, &key, 0, &err));
    return key;
}

static void
come_as(struct door *d, const char *user, const char *password)
{
    cleanup_free char *pair = text_format("%s:%s", user, password);
    cleanup(strbuf_done) struct strbuf base64 = {0};

    base64_encode(&base64, str_of(pair));
    snprintf(d->w.token, sizeof d->w.token, "Authorization: Basic %s", strbuf_cstr(&base64));
}

static void
come_as_key(struct door *d, const struct access_key *key)
{
    come_as(d, key->id, key->secret);
}

static void
come_as_nobody(struct door *d)
{
    snprintf(d->w.token, sizeof d->w.token, "X-Nothing: 1");
}

/* Asks for a token and comes with it from then on. */
static void
take_token(struct door *d, const char *scope)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup(strbuf_done) struct strbuf encoded = {0};
    struct err err = {0};

    uri_encode(&encoded, str_of(scope), false);
    cleanup_free char *path =
        text_format("/v2/token?service=naru&scope=%s", strbuf_cstr(&encoded));
    CHECK_EQ(ask(&d->w, "GET", path, NOTHING, NULL, NULL, &a), 200);
    cleanup_json struct json *answer = json_parse(strbuf_str(&a.body), &err);
    const int64_t left_s = json_get_i64(answer, "expires_in", 0);
    CHECK(left_s > 12 * 3600 - 60 && left_s <= 12 * 3600); /* of the token that it was asked with, if of one */
    CHECK_TEXT(json_get_cstr(answer, "token", ""), json_get_cstr(answer, "access_token", "-"));
    CHECK(snprintf(d->w.token, sizeof d->w.token, "Authorization: Bearer %s",
                   json_get_cstr(answer, "token", "")) < (int)sizeof d->w.token);
}

static int
get(struct door *d, const char *path)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    return ask(&d->w, "GET", path, NOTHING, NULL, NULL, &a);
}

static int
begin_push(struct door *d, const char *repository)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *path = text_format("/v2/%s/blobs/uploads/", repository);
    return ask(&d->w, "POST", path, NOTHING, NULL, NULL, &a);
}

static char *
audit_text(const struct door *d)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err = {0};

    CHECK(file_read(d->audit_path, 1 << 20, &text, &err));
    return strbuf_take(&text);
}

TEST(a_role_is_what_its_name_says)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    const struct {
        const char *role;
        int pull, push, remove, catalog;
    } cases[] = {
        {"admin", 200, 202, 202, 200}, {"deploy", 200, 202, 403, 200},
        {"push", 200, 202, 403, 200},  {"pull", 200, 403, 403, 200},
        {"read-only", 200, 403, 403, 200}, {"unheard-of", 401, 401, 401, 401},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        come_as(&d, "AKIAROOT", "root secret");
        cleanup_free char *digest = push_image(&d.w, "my-app", "v1", "content");
        cleanup_free char *by_digest = text_format("/v2/my-app/manifests/%s", digest);
        const struct access_key key = make_key(&d, cases[i].role, cases[i].role, "");
        come_as_key(&d, &key);
        CHECK_EQ(get(&d, "/v2/my-app/manifests/v1"), cases[i].pull);
        CHECK_EQ(get(&d, "/v2/my-app/tags/list"), cases[i].pull);
        CHECK_EQ(begin_push(&d, "my-app"), cases[i].push);
        CHECK_EQ(get(&d, "/v2/_catalog"), cases[i].catalog);
        CHECK_EQ(ask(&d.w, "DELETE", by_digest, NOTHING, NULL, NULL, &a), cases[i].remove);
        if (cases[i].remove == 403)
            CHECK_TEXT(error_code(&a), "DENIED");
    }
}

TEST(a_key_for_some_repositories_sees_and_mounts_from_no_other)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    const struct access_key key = make_key(&d, "team", "push", "team/*,base");

    CHECK(registry_repository_create(d.w.reg, REGION, "team/app", NULL, &err));
    come_as(&d, "AKIAROOT", "root secret");
    cleanup_free char *blob = push_blob(&d.w, "my-app", STR("secret of others"));
    come_as_key(&d, &key);
    CHECK_EQ(get(&d, "/v2/team/app/tags/list"), 200);
    CHECK_EQ(begin_push(&d, "team/app"), 202);
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 403);
    CHECK_EQ(get(&d, "/v2/nowhere/tags/list"), 403); /* no word of what is there */
    CHECK_EQ(ask(&d.w, "GET", "/v2/_catalog", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"repositories\":[\"team/app\"]}");
    const char *const from[] = {"", "&from=my-app"};
    for (size_t i = 0; i < ARRAY_COUNT(from); i++) {
        cleanup_free char *mount =
            text_format("/v2/team/app/blobs/uploads/?mount=%s%s", blob, from[i]);
        CHECK_EQ(ask(&d.w, "POST", mount, NOTHING, NULL, NULL, &a), 202);
    }
}

TEST(a_refusal_says_how_to_get_in)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};

    come_as_nobody(&d);
    CHECK_EQ(ask(&d.w, "GET", "/v2/my-app/tags/list", NOTHING, NULL, NULL, &a), 401);
    cleanup_free char *want = text_format(
        "Bearer realm=\"http://127.0.0.1:%u/v2/token\",service=\"127.0.0.1:%u\","
        "scope=\"repository:my-app:pull\"",
        d.w.port, d.w.port);
    CHECK_TEXT(header(&a, "Www-Authenticate"), want);
    CHECK_EQ(ask(&d.w, "POST", "/v2/my-app/blobs/uploads/", NOTHING, "Host: a\"b", NULL, &a), 401);
    CHECK(strstr(header(&a, "Www-Authenticate"), "scope=\"repository:my-app:pull,push\"") != NULL);
    CHECK(strstr(header(&a, "Www-Authenticate"), "a\"b") == NULL);
    CHECK_EQ(ask(&d.w, "GET", "/v2/", NOTHING, "X-Forwarded-Proto: https", NULL, &a), 401);
    CHECK(strstr(header(&a, "Www-Authenticate"), "realm=\"https://") != NULL);
    CHECK(strstr(header(&a, "Www-Authenticate"), "scope") == NULL);
}

TEST(a_token_is_for_its_scopes_and_no_wider_than_the_role)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    const struct access_key pusher = make_key(&d, "pusher", "push", "");
    const struct access_key puller = make_key(&d, "puller", "pull", "");

    CHECK(registry_repository_create(d.w.reg, REGION, "other", NULL, &err));
    come_as_key(&d, &pusher);
    take_token(&d, "repository:my-app:pull,push repository:other:pull");
    CHECK_EQ(get(&d, "/v2/"), 200);
    CHECK_EQ(begin_push(&d, "my-app"), 202);
    CHECK_EQ(get(&d, "/v2/other/tags/list"), 200);
    CHECK_EQ(ask(&d.w, "POST", "/v2/other/blobs/uploads/", NOTHING, NULL, NULL, &a), 401);
    CHECK(strstr(header(&a, "Www-Authenticate"), "error=\"insufficient_scope\"") != NULL);
    /* A token gives no wider one. */
    take_token(&d, "repository:other:pull,push,delete");
    CHECK_EQ(get(&d, "/v2/other/tags/list"), 200);
    CHECK_EQ(begin_push(&d, "other"), 401);

    come_as_key(&d, &puller);
    take_token(&d, "repository:my-app:pull,push");
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 200);
    CHECK_EQ(begin_push(&d, "my-app"), 403);

    /* As OAuth has it. */
    come_as_nobody(&d);
    cleanup_free char *form =
        text_format("grant_type=password&service=naru&client_id=x&username=%s&password=%s&scope="
                    "repository%%3Amy-app%%3Apush",
                    pusher.id, pusher.secret);
    CHECK_EQ(ask(&d.w, "POST", "/v2/token", str_of(form),
                 "Content-Type: application/x-www-form-urlencoded", NULL, &a),
             200);
    cleanup_json struct json *answer = json_parse(strbuf_str(&a.body), &err);
    snprintf(d.w.token, sizeof d.w.token, "Authorization: Bearer %s",
             json_get_cstr(answer, "token", ""));
    CHECK_EQ(begin_push(&d, "my-app"), 202);
    come_as_nobody(&d);
    CHECK_EQ(ask(&d.w, "POST", "/v2/token", STR("grant_type=password&username=a&password=b"), NULL,
                 NULL, &a),
             401);
    CHECK_EQ(ask(&d.w, "POST", "/v2/token", STR("grant_type=refresh_token"), NULL, NULL, &a), 405);
}

/* As podman search does it: any token first, then the one that the refusal names. */
TEST(repositories_are_listed_by_a_token_for_the_catalog)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    const struct access_key key = make_key(&d, "team", "push", "team/*");

    CHECK(registry_repository_create(d.w.reg, REGION, "team/app", NULL, &err));
    come_as_key(&d, &key);
    take_token(&d, "");
    CHECK_EQ(ask(&d.w, "GET", "/v2/_catalog", NOTHING, NULL, NULL, &a), 401);
    CHECK(strstr(header(&a, "Www-Authenticate"), "scope=\"registry:catalog:*\"") != NULL);
    CHECK(strstr(header(&a, "Www-Authenticate"), "error=\"insufficient_scope\"") != NULL);
    take_token(&d, "registry:catalog:*"); /* and no token gives a wider one */
    CHECK_EQ(get(&d, "/v2/_catalog"), 401);
    come_as_key(&d, &key);
    take_token(&d, "registry:catalog:* repository:team/app:pull");
    CHECK_EQ(ask(&d.w, "GET", "/v2/_catalog", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"repositories\":[\"team/app\"]}");
    CHECK_EQ(get(&d, "/v2/team/app/tags/list"), 200);
    CHECK_EQ(begin_push(&d, "team/app"), 401);

    come_as_nobody(&d);
    CHECK_EQ(get(&d, "/v2/_catalog"), 401);
    take_token(&d, "registry:catalog:*");
    CHECK_EQ(get(&d, "/v2/_catalog"), 401);
}

TEST(a_token_has_room_for_all_scopes_that_may_be_asked_for)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup(strbuf_done) struct strbuf path = {0};
    struct err err = {0};

    come_as(&d, "AKIAROOT", "root secret");
    strbuf_add_cstr(&path, "/v2/token?service=naru");
    for (int i = 0; i < 32; i++)
        strbuf_addf(&path, "&scope=repository:000000000000.dkr.ecr.ap-northeast-2.amazonaws.com/n%0200d:pull,push,delete", i);
    CHECK_EQ(ask(&d.w, "GET", strbuf_cstr(&path), NOTHING, NULL, NULL, &a), 200);
    cleanup_json struct json *answer = json_parse(strbuf_str(&a.body), &err);
    cleanup_free char *bearer = text_format("Authorization: Bearer %s", json_get_cstr(answer, "token", ""));
    CHECK(strlen(bearer) > 8192);
    const char *headers[] = {bearer, NULL};
    cleanup_free char *url = text_format("http://127.0.0.1:%u/v2/", http_server_port(d.w.server));
    const struct http_call call = {.method = "GET", .url = url, .headers = headers};
    struct http_client *client = http_client_new();
    http_answer_done(&a);
    CHECK(http_client_call(client, &call, &a, &err));
    http_client_free(client);
    CHECK_EQ(a.status, 200);
}

TEST(a_layer_s_url_ends_with_its_key)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf path = {0};
    struct access_key key = make_key(&d, "ci", "pull", "");
    struct err err = {0};
    const struct http_route route = registry_download_route(d.w.reg);
    struct http_client *client = http_client_new();

    come_as(&d, "AKIAROOT", "root secret");
    cleanup_free char *digest = push_blob(&d.w, "my-app", STR("a layer"));
    registry_layer_path(d.w.reg, REGION, "my-app", digest, key.id, clock_wall_ms(), &path);
    struct http_server *server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    CHECK(server != NULL);
    cleanup_free char *url = text_format("http://127.0.0.1:%u%s", http_server_port(server), strbuf_cstr(&path));
    const struct http_call call = {.method = "GET", .url = url};
    for (int i = 0; i < 2; i++) {
        cleanup(http_answer_done) struct http_answer a = {0};
        CHECK(http_client_call(client, &call, &a, &err));
        CHECK_EQ(a.status, i == 0 ? 200 : 403);
        if (i == 0)
            CHECK(access_keys_delete(d.keys_path, "ci", &err));
        else
            CHECK(strstr(strbuf_cstr(&a.body), "is no more") != NULL);
    }
    http_client_free(client);
    http_server_stop(server);
}

TEST(a_token_for_a_token_ends_with_it)
{
    DOOR(d);
    const int64_t hour_ms = 3600 * 1000;
    const struct access_key key = make_key(&d, "old", "pull", "");
    const char *const key_ids[] = {key.id, NULL}; /* NULL: naru's own */

    for (size_t i = 0; i < ARRAY_COUNT(key_ids); i++) {
        cleanup(strbuf_done) struct strbuf password = {0};
        cleanup(http_answer_done) struct http_answer a = {0};
        const int64_t made_ms = clock_wall_ms() - REGISTRY_TOKEN_LIFE_MS + hour_ms;
        if (key_ids[i] != NULL)
            registry_token_of(d.w.reg, key_ids[i], made_ms, &password);
        else
            registry_token(d.w.reg, made_ms, &password);
        come_as(&d, "AWS", strbuf_cstr(&password));
        CHECK_EQ(ask(&d.w, "GET", "/v2/token?service=naru", NOTHING, NULL, NULL, &a), 200);
        cleanup_json struct json *answer = json_parse(strbuf_str(&a.body), NULL);
        const int64_t left_s = json_get_i64(answer, "expires_in", 0);
        CHECK(left_s > 3500 && left_s <= 3600);
        const struct str token = str_of(json_get_cstr(answer, "token", ""));
        CHECK(registry_token_check(d.w.reg, token, clock_wall_ms()));
        CHECK(!registry_token_check(d.w.reg, token, clock_wall_ms() + hour_ms));
    }
    cleanup(http_answer_done) struct http_answer a = {0};
    come_as_key(&d, &key);
    CHECK_EQ(ask(&d.w, "GET", "/v2/token?service=naru", NOTHING, NULL, NULL, &a), 200);
    cleanup_json struct json *answer = json_parse(strbuf_str(&a.body), NULL);
    CHECK_EQ(json_get_i64(answer, "expires_in", 0), 12 * 3600);
}

TEST(what_a_policy_allows_a_token_holds_too)
{
    DOOR(d);
    struct err err = {0};
    const struct access_key key = make_key(&d, "guest", "pull", "");

    CHECK(registry_policy_set(d.w.reg, REGION, "my-app",
                              "{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":"
                              "\"arn:aws:iam::" ACCOUNT ":user/guest\"},\"Action\":"
                              "\"ecr:InitiateLayerUpload\"}}",
                              &err));
    come_as_key(&d, &key);
    CHECK_EQ(begin_push(&d, "my-app"), 202);
    take_token(&d, "repository:my-app:pull,push");
    CHECK_EQ(begin_push(&d, "my-app"), 202);
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 200);
    /* As long as it allows it, and not what it says nothing of. */
    CHECK(registry_policy_set(d.w.reg, REGION, "my-app", NULL, &err));
    CHECK_EQ(begin_push(&d, "my-app"), 403);
}

TEST(a_key_that_is_taken_back_takes_its_tokens_with_it)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf password = {0};
    struct err err = {0};
    const struct access_key key = make_key(&d, "ci", "push", "");

    registry_token_of(d.w.reg, key.id, clock_wall_ms(), &password);
    come_as(&d, "AWS", strbuf_cstr(&password));
    CHECK_EQ(begin_push(&d, "my-app"), 202);
    take_token(&d, "repository:my-app:pull");
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 200);
    CHECK(access_keys_delete(d.keys_path, "ci", &err));
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 401);
    come_as(&d, "AWS", strbuf_cstr(&password));
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 401);
    come_as_key(&d, &key);
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 401);
    CHECK(!access_keys_delete(d.keys_path, "ci", &err));
    CHECK_EQ(err.code, ERR_NOT_FOUND);
}

TEST(a_session_logs_in_by_its_token_alone_and_no_longer_than_it_lives)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf password = {0};
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *roles = text_format("%s/roles.json", d.w.dir);
    struct err err = {0};
    struct access_key key = make_key(&d, "ci", "admin", ""), session;
    const struct role_map map = {.name = "ship", .role = "pull", .repositories = "my-*"};
    const struct session_wish wish = {.role_arn = "arn:aws:iam::000000000000:role/ship", .session_name = "s", .seconds = 900};

    CHECK(registry_repository_create(d.w.reg, REGION, "other", NULL, &err));
    come_as_key(&d, &key);
    free(push_image(&d.w, "my-app", "v1", "of the session"));
    free(push_image(&d.w, "other", "v1", "of others"));
    CHECK(role_map_set(roles, &map, 0, &err));
    CHECK(access_keys_begin_session(d.keys, &key, &wish, "000000000000", clock_wall_ms(), &session, &err));
    come_as_key(&d, &session); /* its third part, the token, is missing */
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 401);
    registry_token_of(d.w.reg, session.id, clock_wall_ms(), &password);
    come_as(&d, "AWS", strbuf_cstr(&password));
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 200);
    CHECK_EQ(get(&d, "/v2/other/tags/list"), 403);
    CHECK_EQ(begin_push(&d, "my-app"), 403);
    CHECK_EQ(get(&d, "/v2/my-app/manifests/v1"), 200);
    cleanup_free char *log = audit_text(&d), *pull = text_format("at=registry.pull who=ship/s assumed_by=ci key=%s ", session.id);
    CHECK(strstr(log, pull) != NULL && strstr(log, "at=registry.denied who=ship/s assumed_by=ci peer=") != NULL);
    CHECK_EQ(ask(&d.w, "GET", "/v2/token?service=naru&scope=repository:my-app:pull", NOTHING, NULL, NULL, &a), 200);
    cleanup_json struct json *answer = json_parse(strbuf_str(&a.body), &err);
    CHECK(json_get_i64(answer, "expires_in", 0) <= 900);
    snprintf(d.w.token, sizeof d.w.token, "Authorization: Bearer %s", json_get_cstr(answer, "token", ""));
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 200);
    CHECK(role_map_delete(roles, "ship", &err));
    CHECK_EQ(get(&d, "/v2/my-app/tags/list"), 401);
}

/* Or whoever has many sessions would have as many times the uploads that one may have. */
TEST(uploads_of_sessions_are_those_of_their_key)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf password = {0};
    struct access_key key = make_key(&d, "ci", "push", ""), session;
    const struct session_wish wish = {.seconds = 900};
    struct err err = {0};

    CHECK(access_keys_begin_session(d.keys, &key, &wish, "000000000000", clock_wall_ms(), &session, &err));
    registry_token_of(d.w.reg, session.id, clock_wall_ms(), &password);
    come_as(&d, "AWS", strbuf_cstr(&password));
    CHECK_EQ(begin_push(&d, "my-app"), 202);
    CHECK(d.w.reg->uploads != NULL);
    CHECK_TEXT(d.w.reg->uploads->owner, key.id);
}

TEST(nobody_pulls_where_the_owner_says_so_and_nowhere_else)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    cleanup_json struct json *document =
        json_parse(STR("{\"tags\":[{\"Key\":\"naru:anonymousPull\",\"Value\":\"true\"}]}"), &err);

    CHECK(registry_repository_create(d.w.reg, REGION, "public", document, &err));
    come_as(&d, "AKIAROOT", "root secret");
    free(push_image(&d.w, "public", "v1", "for everybody"));
    free(push_image(&d.w, "my-app", "v1", "for some"));
    come_as_nobody(&d);
    CHECK_EQ(get(&d, "/v2/public/manifests/v1"), 200);
    CHECK_EQ(get(&d, "/v2/public/tags/list"), 200);
    CHECK_EQ(begin_push(&d, "public"), 401);
    CHECK_EQ(ask(&d.w, "DELETE", "/v2/public/manifests/v1", NOTHING, NULL, NULL, &a), 401);
    CHECK_EQ(get(&d, "/v2/my-app/manifests/v1"), 401);
    CHECK_EQ(get(&d, "/v2/_catalog"), 401);
    /* As docker does it: a token for nobody. */
    take_token(&d, "repository:public:pull,push");
    CHECK_EQ(get(&d, "/v2/"), 200);
    CHECK_EQ(get(&d, "/v2/public/manifests/v1"), 200);
    CHECK_EQ(begin_push(&d, "public"), 401);
    CHECK_EQ(get(&d, "/v2/my-app/manifests/v1"), 401);
}

static bool
set_tags(void *arg, struct json *document, struct err *err)
{
    (void)err;
    json_set(document, "tags", json_ref(arg));
    return true;
}

TEST(repositories_are_searched_for_an_open_one_after_a_change_only)
{
    DOOR(d);
    struct err err = {0};
    cleanup_json struct json *none = json_parse(STR("{}"), &err);
    cleanup_json struct json *tags =
        json_parse(STR("[{\"Key\":\"naru:anonymousPull\",\"Value\":\"true\"}]"), &err);
    cleanup_json struct json *closed = json_array();
    struct registry *reg = d.w.reg;

    CHECK(registry_repository_create(reg, REGION, "a/public", none, &err));
    CHECK(!visitor_nobody_is_welcome(reg));
    CHECK(registry_repository_change(reg, REGION, "a/public", set_tags, tags, &err));
    CHECK(visitor_nobody_is_welcome(reg)); /* at once */
    cleanup_free char *path = repository_path(reg, REGION, "a/public", "_repository.json");
    CHECK(file_write_atomic(path, STR("{}"), 0600, &err)); /* behind its back */
    CHECK(visitor_nobody_is_welcome(reg));
    CHECK(registry_repository_change(reg, REGION, "a/public", set_tags, tags, &err));
    CHECK(visitor_nobody_is_welcome(reg));
    pthread_mutex_lock(&reg->open_lock); /* another thread searches */
    CHECK(registry_repository_change(reg, REGION, "a/public", set_tags, closed, &err));
    CHECK(visitor_nobody_is_welcome(reg));
    pthread_mutex_unlock(&reg->open_lock);
    CHECK(!visitor_nobody_is_welcome(reg));
    CHECK(registry_repository_change(reg, REGION, "a/public", set_tags, tags, &err));
    CHECK(visitor_nobody_is_welcome(reg));
    CHECK(registry_repository_delete(reg, REGION, "a/public", /* force= */ true, &err));
    CHECK(!visitor_nobody_is_welcome(reg));
}

#define POLICY_OF_ALL                                                                                            \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"a\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":" \
    "\"ecr:BatchGetImage\"}]}"

/* Ten thousand repositories are ten thousand files to read. */
TEST(what_opens_and_closes_none_is_no_reason_to_search)
{
    DOOR(d);
    struct registry *reg = d.w.reg;
    struct err err = {0};
    cleanup_json struct json *tags = json_parse(STR("[{\"Key\":\"a\",\"Value\":\"true\"}]"), &err);

    (void)visitor_nobody_is_welcome(reg);
    const unsigned seen = atomic_load(&reg->open_seen);
    CHECK(registry_policy_set(reg, REGION, "my-app", POLICY_OF_ALL, &err));
    (void)visitor_nobody_is_welcome(reg);
    CHECK_EQ(atomic_load(&reg->open_seen), seen);
    CHECK(registry_repository_create(reg, REGION, "another", NULL, &err));
    CHECK(registry_repository_change(reg, REGION, "another", set_tags, tags, &err));
    CHECK(registry_repository_delete(reg, REGION, "another", /* force= */ false, &err));
    (void)visitor_nobody_is_welcome(reg);
    CHECK_EQ(atomic_load(&reg->open_seen), seen);
}

TEST(one_that_cannot_be_read_is_not_known_to_be_closed)
{
    DOOR(d);
    struct registry *reg = d.w.reg;
    cleanup_free char *path = repository_path(reg, REGION, "my-app", "_repository.json");
    struct err err = {0};

    CHECK(file_write_atomic(path, STR("{"), 0600, &err));
    CHECK(!visitor_nobody_is_welcome(reg));
    CHECK(file_write_atomic(path, STR("{\"tags\":[{\"Key\":\"naru:anonymousPull\",\"Value\":\"true\"}]}"), 0600, &err));
    atomic_store(&reg->open_failed_ms, 0); /* a second later */
    CHECK(visitor_nobody_is_welcome(reg));
}

/* It may stay damaged for good, and each search takes seconds where there are ten thousand. */
TEST(nobody_waits_for_a_search_because_one_of_before_could_not_read_all)
{
    DOOR(d);
    struct registry *reg = d.w.reg;
    cleanup_free char *path = repository_path(reg, REGION, "my-app", "_repository.json");
    struct err err = {0};

    CHECK(file_write_atomic(path, STR("{"), 0600, &err));
    CHECK(!visitor_nobody_is_welcome(reg));
    pthread_mutex_lock(&reg->open_lock); /* somebody searches again */
    CHECK(!visitor_nobody_is_welcome(reg));
    pthread_mutex_unlock(&reg->open_lock);
}

struct nobody {
    struct registry *reg;
    atomic_bool has_come;
    bool is_welcome;
};

static void *
come(void *arg)
{
    struct nobody *n = arg;

    atomic_store(&n->has_come, true);
    n->is_welcome = visitor_nobody_is_welcome(n->reg);
    return NULL;
}

TEST(before_the_first_search_is_over_nobody_is_sent_away)
{
    DOOR(d);
    struct registry *reg = d.w.reg;
    struct nobody n = {.reg = reg};
    pthread_t thread;

    pthread_mutex_lock(&reg->open_lock); /* we search */
    CHECK(pthread_create(&thread, NULL, come, &n) == 0);
    while (!atomic_load(&n.has_come))
        clock_sleep_ms(1);
    clock_sleep_ms(20); /* if it is slow, nothing is shown */
    atomic_store(&reg->is_open, true);
    atomic_store(&reg->open_seen, atomic_load(&reg->open_changed) + 1);
    pthread_mutex_unlock(&reg->open_lock);
    pthread_join(thread, NULL);
    CHECK(n.is_welcome);
}

TEST(a_token_that_was_right_before_ends_in_its_time_and_is_no_other_one)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *scopes = json_object();
    struct token token = {0};

    json_set(scopes, "my-app", json_int(VISIT_PULL));
    token_write(d.w.reg, "AKIA1", scopes, 5000, &text);
    for (int i = 0; i < 2; i++) {
        CHECK(token_read(d.w.reg, strbuf_str(&text), 4999, &token));
        CHECK_TEXT(token.key_id, "AKIA1");
        CHECK_EQ(token.until_ms, 5000);
        CHECK_EQ(json_get_i64(token.scopes, "my-app", 0), VISIT_PULL);
        json_unref(token.scopes);
        CHECK(!token_read(d.w.reg, strbuf_str(&text), 5000, &token));
    }
    text.at[10] ^= 1;
    CHECK(!token_read(d.w.reg, strbuf_str(&text), 4999, &token));
    CHECK(!token_read(d.w.reg, str_slice(strbuf_str(&text), 11, text.len), 4999, &token));
    CHECK(!token_read(d.w.reg, STR(""), 4999, &token));
}

TEST(who_guesses_has_to_wait)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    const struct access_key key = make_key(&d, "ci", "push", "");

    come_as(&d, key.id, "a guess");
    for (int i = 0; i < GUARD_FREE; i++)
        CHECK_EQ(get(&d, "/v2/"), 401);
    CHECK_EQ(ask(&d.w, "GET", "/v2/", NOTHING, NULL, NULL, &a), 429);
    CHECK_TEXT(error_code(&a), "TOOMANYREQUESTS");
    CHECK(header(&a, "Retry-After")[0] != '\0');
    come_as(&d, "AKIAROOT", "root secret"); /* others of that address go on */
    CHECK_EQ(get(&d, "/v2/"), 200);
}

/* On one machine everybody has one address. */
TEST(one_stale_login_keeps_out_nobody_else)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf password = {0};
    const struct str peer = STR("192.0.2.1"), stale = STR("AKIASTALE");
    const int64_t now_ms = 1000000;
    int status = 0;

    for (int i = 0; i < 20 * GUARD_FREE; i++) {
        guard_failed(d.guard, peer, stale, now_ms + i);
        if (i < 10 * GUARD_FREE) /* another process has the right secret for it */
            guard_passed(d.guard, peer, stale);
    }
    CHECK(guard_wait_ms(d.guard, peer, stale, now_ms) > 0);
    CHECK_EQ(guard_wait_ms(d.guard, peer, STR("AKIAOTHER"), now_ms), 0);
    for (int i = 0; status != 429 && i < 20 * GUARD_FREE; i++) {
        snprintf(d.w.token, sizeof d.w.token, "Authorization: Bearer v1.1.%064d", i);
        status = get(&d, "/v2/");
    }
    CHECK_EQ(status, 429);
    registry_token(d.w.reg, clock_wall_ms(), &password);
    come_as(&d, "AWS", strbuf_cstr(&password)); /* naru's own pulls */
    CHECK_EQ(get(&d, "/v2/"), 200);
    come_as(&d, "AKIAROOT", "root secret");
    CHECK_EQ(get(&d, "/v2/"), 200);
}

TEST(waiting_grows_and_is_forgotten)
{
    struct guard *g = guard_new();
    const struct str peer = STR("192.0.2.1"), key = STR("AKIA"), other = STR("192.0.2.2");
    int64_t now_ms = 1000000;

    for (int i = 0; i < GUARD_FREE - 1; i++)
        guard_failed(g, peer, key, now_ms);
    CHECK_EQ(guard_wait_ms(g, peer, key, now_ms), 0);
    guard_failed(g, peer, key, now_ms);
    CHECK_EQ(guard_wait_ms(g, peer, key, now_ms), 1000);
    CHECK_EQ(guard_wait_ms(g, other, key, now_ms), 0);
    CHECK_EQ(guard_wait_ms(g, peer, STR("AKIB"), now_ms), 0);
    CHECK_EQ(guard_wait_ms(g, peer, key, now_ms + 1000), 0);
    guard_failed(g, peer, key, now_ms);
    CHECK_EQ(guard_wait_ms(g, peer, key, now_ms), 2000);
    for (int i = 0; i < 20; i++)
        guard_failed(g, peer, key, now_ms);
    CHECK_EQ(guard_wait_ms(g, peer, key, now_ms), GUARD_WAIT_MAX_MS);
    guard_passed(g, peer, key);
    CHECK_EQ(guard_wait_ms(g, peer, key, now_ms), 0);
    /* Other keys do not help who tries them all. */
    for (int i = 0; i < 10 * GUARD_FREE; i++) {
        cleanup_free char *name = text_format("AKIA%d", i);
        guard_failed(g, peer, str_of(name), now_ms);
    }
    CHECK(guard_wait_ms(g, peer, STR("AKIANEW"), now_ms) > 0);
    now_ms += 16 * 60 * 1000;
    guard_failed(g, peer, STR("AKIANEW"), now_ms);
    CHECK_EQ(guard_wait_ms(g, peer, STR("AKIANEW"), now_ms), 0);
    guard_free(g);
}

TEST(deeds_are_written_down)
{
    DOOR(d);
    cleanup(http_answer_done) struct http_answer a = {0};
    const struct access_key key = make_key(&d, "ci", "push", "");

    come_as_key(&d, &key);
    cleanup_free char *digest = push_image(&d.w, "my-app", "v1", "content");
    CHECK_EQ(get(&d, "/v2/my-app/manifests/v1"), 200);
    CHECK_EQ(ask(&d.w, "DELETE", "/v2/my-app/manifests/v1", NOTHING, NULL, NULL, &a), 403);
    come_as(&d, "AKIAROOT", "root secret");
    CHECK_EQ(ask(&d.w, "DELETE", "/v2/my-app/manifests/v1", NOTHING, NULL, NULL, &a), 202);
    come_as(&d, "AKIAROOT", "wrong\nsecret");
    CHECK_EQ(get(&d, "/v2/"), 401);
    cleanup_free char *text = audit_text(&d);
    cleanup_free char *push = text_format(
        "at=registry.push who=ci key=%s peer=127.0.0.1 what=manifest region=" REGION
        " repository=my-app reference=v1 digest=%s",
        key.id, digest);
    CHECK(strstr(text, push) != NULL);
    CHECK(strstr(text, "at=registry.push who=ci") != NULL && strstr(text, "what=blob") != NULL);
    CHECK(strstr(text, "at=registry.pull who=ci") != NULL);
    CHECK(strstr(text, "at=registry.denied who=ci peer=127.0.0.1 action=ecr:BatchDeleteImage") !=
          NULL);
    CHECK(strstr(text, "at=registry.delete who=root") != NULL);
    CHECK(strstr(text, "at=registry.login_failed user=\"AKIAROOT\"") != NULL);
    CHECK(strstr(text, "secret") == NULL);
}

TEST(the_log_of_deeds_has_a_budget)
{
    DOOR(d);
    char filler[1001];

    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    for (int i = 0; i < 6 * (AUDIT_FILE_MAX / 1000); i++)
        audit_line(d.audit, "test.line", "n=%d %s", i, filler);
    cleanup_free char *command = text_format("ls %s* | wc -l", d.audit_path);
    cleanup_free char *count = check_shell(command);
    CHECK_EQ(atoi(count), AUDIT_FILES);
    cleanup_free char *sizes = text_format("du -bc %s* | tail -1 | cut -f1", d.audit_path);
    cleanup_free char *bytes = check_shell(sizes);
    CHECK(atoll(bytes) <= (long long)AUDIT_FILES * AUDIT_FILE_MAX);
    cleanup_free char *last = text_format("tail -1 %s | grep -c 'n=%d '", d.audit_path,
                                          6 * (AUDIT_FILE_MAX / 1000) - 1);
    cleanup_free char *found = check_shell(last);
    CHECK_EQ(atoi(found), 1);
}

TEST(roles_and_patterns)
{
    CHECK(role_allows(ROLE_ADMIN, "ecs", "DeleteCluster"));
    CHECK(role_allows(ROLE_DEPLOY, "ecs", "UpdateService"));
    CHECK(role_allows(ROLE_DEPLOY, "elasticloadbalancing", "CreateRule"));
    CHECK(!role_allows(ROLE_DEPLOY, "ecr", "DeleteRepository"));
    CHECK(role_allows(ROLE_DEPLOY, "ecr", "StartImageScan")); /* a pipeline that stops for what one finds */
    CHECK(!role_allows(ROLE_DEPLOY, "acm", "ImportCertificate"));
    CHECK(!role_allows(ROLE_PUSH, "ecs", "DescribeServices"));
    CHECK(role_allows(ROLE_READ_ONLY, "ecs", "DescribeServices"));
    CHECK(!role_allows(ROLE_READ_ONLY, "ecs", "UpdateService"));
    CHECK(!role_allows(ROLE_READ_ONLY, "naru", "POST"));
    CHECK(role_allows(ROLE_PULL, "ecr", "GetAuthorizationToken"));
    CHECK(names_match(STR(""), STR("anything")));
    CHECK(names_match(STR("a/*, b"), STR("b")));
    CHECK(!names_match(STR("a/*,b"), STR("a")));
}
