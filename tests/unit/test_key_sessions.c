/* SPDX-License-Identifier: MIT */
/* Credentials for some hours: what they may, how long, and what ends them. */
#include "io/key_sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "check.h"
#include "io/file.h"
#include "io/role_map.h"

#define ACCOUNT "000000000000"
#define ARN "arn:aws:iam::" ACCOUNT ":role/team/deploy"
#define FOREIGN "arn:aws:iam::123456789012:role/deploy"

struct place {
    char dir[40];
    char *keys_path, *roles_path, *sessions_path;
    struct access_keys *keys;
};

static void
place_new(struct place *p)
{
    *p = (struct place){.dir = "/tmp/naru-sessions-XXXXXX"};
    CHECK(mkdtemp(p->dir) != NULL);
    p->keys_path = text_format("%s/keys.json", p->dir);
    p->roles_path = text_format("%s/roles.json", p->dir);
    p->sessions_path = text_format("%s/sessions.json", p->dir);
    p->keys = access_keys_new(p->keys_path, "AKIAROOT", "root secret");
}

static void
place_end(struct place *p)
{
    access_keys_free(p->keys);
    CHECK(file_remove_tree(p->dir, NULL));
    free(p->keys_path);
    free(p->roles_path);
    free(p->sessions_path);
}

/* As a restart of the server. */
static void
place_again(struct place *p)
{
    access_keys_free(p->keys);
    p->keys = access_keys_new(p->keys_path, "AKIAROOT", "root secret");
}

static struct access_key
make_key(struct place *p, const char *name, const char *role, const char *repositories)
{
    struct access_key key = {0};
    struct err err = {0};

    text_copy_all(key.name, sizeof(key.name), name);
    text_copy_all(key.role, sizeof(key.role), role);
    text_copy_all(key.repositories, sizeof(key.repositories), repositories);
    CHECK(access_keys_create(p->keys_path, &key, 0, &err));
    return key;
}

static void
set_role(struct place *p, const char *name, const char *role, const char *repositories, const char *external_id)
{
    const struct role_map map = {.name = name, .role = role, .repositories = repositories, .external_id = external_id,
                                 .seconds_max = 7200};
    struct err err = {0};

    CHECK(role_map_set(p->roles_path, &map, 1, &err));
}

static enum err_code
begin_at(struct place *p, const struct access_key *parent, const struct session_wish *wish, int64_t now_ms,
         struct access_key *out, struct err *err)
{
    *err = (struct err){0};
    return access_keys_begin_session(p->keys, parent, wish, ACCOUNT, now_ms, out, err) ? ERR_NONE : err->code;
}

static struct access_key
begin(struct place *p, const struct access_key *parent, const char *arn)
{
    const struct session_wish wish = {.role_arn = arn, .session_name = "web-7", .seconds = 3600};
    struct access_key made, found;
    struct err err;

    CHECK_EQ(begin_at(p, parent, &wish, clock_wall_ms(), &made, &err), ERR_NONE);
    CHECK(access_keys_find(p->keys, str_of(made.id), &found));
    CHECK_TEXT(found.secret, made.secret);
    CHECK_TEXT(found.token, made.token);
    CHECK_EQ(strlen(found.token), SESSION_TOKEN_CHARS);
    CHECK(strncmp(found.id, "ASIA", 4) == 0 && strcmp(found.secret, parent->secret) != 0);
    return found;
}

static bool
is_there(struct place *p, const struct access_key *key)
{
    struct access_key found;

    return access_keys_find(p->keys, str_of(key->id), &found);
}

TEST(a_session_has_what_the_key_and_the_role_have_in_common)
{
    cleanup(place_end) struct place p;
    char principal[KEY_PRINCIPAL_SIZE];

    place_new(&p);
    const struct access_key ci = make_key(&p, "ci", "deploy", "team/*");
    set_role(&p, "team/deploy", "push", "team/web,team/api", NULL);
    set_role(&p, FOREIGN, "read-only", NULL, NULL);
    const struct access_key s = begin(&p, &ci, ARN), f = begin(&p, &ci, FOREIGN);
    CHECK_TEXT(s.role, "deploy,push");
    CHECK_TEXT(s.repositories, "team/*;team/web,team/api");
    access_key_principal(&s, ACCOUNT, principal);
    CHECK_TEXT(principal, "arn:aws:sts::" ACCOUNT ":assumed-role/deploy/web-7");
    CHECK(access_key_holder(&s, ACCOUNT, principal));
    CHECK_TEXT(principal, "arn:aws:iam::" ACCOUNT ":user/ci");
    CHECK_TEXT(f.role, "deploy,read-only");
    CHECK_TEXT(f.repositories, "team/*");
    CHECK(!access_key_holder(&ci, ACCOUNT, principal));
}

TEST(a_session_ends_with_its_key_its_role_its_time_or_by_command)
{
    cleanup(place_end) struct place p;
    struct access_key made;
    struct err err;

    place_new(&p);
    const struct access_key ci = make_key(&p, "ci", "admin", ""), other = make_key(&p, "other", "admin", "");
    set_role(&p, "team/deploy", "push", NULL, NULL);
    const struct access_key one = begin(&p, &ci, ARN), two = begin(&p, &other, ARN), three = begin(&p, &other, ARN),
                            own = begin(&p, &other, NULL);
    place_again(&p); /* it outlives a restart */
    CHECK(is_there(&p, &one) && is_there(&p, &two) && is_there(&p, &three) && is_there(&p, &own));
    CHECK(access_keys_delete(p.keys_path, "ci", &err));
    CHECK(!is_there(&p, &one) && is_there(&p, &two));
    CHECK(key_sessions_end(p.sessions_path, three.id, &err) && !is_there(&p, &three));
    CHECK(!key_sessions_end(p.sessions_path, three.id, &err) && err.code == ERR_NOT_FOUND);
    CHECK(role_map_delete(p.roles_path, "team/deploy", &err));
    CHECK(!is_there(&p, &two) && is_there(&p, &own));
    const struct role_map again = {.name = "team/deploy", .role = "push"}; /* another role of the same name */
    CHECK(role_map_set(p.roles_path, &again, clock_wall_ms() + 1, &err) && !is_there(&p, &two));
    CHECK(!access_keys_has_expired(p.keys, str_of(own.id)) && !access_keys_has_expired(p.keys, str_of(other.id)));
    const struct session_wish old = {.seconds = 900};
    CHECK_EQ(begin_at(&p, &other, &old, clock_wall_ms() - 901 * 1000, &made, &err), ERR_NONE);
    CHECK(!is_there(&p, &made) && access_keys_has_expired(p.keys, str_of(made.id)));
    cleanup_json struct json *all = NULL;
    CHECK(key_sessions_list(p.sessions_path, clock_wall_ms(), &all, &err));
    CHECK(json_find(all, "accessKeyId", own.id) != NULL && json_find(all, "accessKeyId", made.id) == NULL);
    CHECK(json_get(json_find(all, "accessKeyId", own.id), "secretAccessKey") == NULL);
    CHECK(json_get(json_find(all, "accessKeyId", own.id), "sessionToken") == NULL);
}

TEST(a_clock_that_goes_back_ends_no_session_and_keeps_none)
{
    cleanup(place_end) struct place p;
    struct err err;

    place_new(&p);
    const struct access_key ci = make_key(&p, "ci", "admin", "");
    const struct role_map map = {.name = "team/deploy", .role = "push"};
    CHECK(role_map_set(p.roles_path, &map, clock_wall_ms() + 3600000, &err)); /* an hour fast, then set right */
    const struct access_key s = begin(&p, &ci, ARN);
    CHECK(role_map_set(p.roles_path, &map, clock_wall_ms() - 3600000, &err));
    CHECK(!is_there(&p, &s));
}

TEST(a_role_that_is_not_set_is_denied_by_the_command_that_sets_it)
{
    cleanup(place_end) struct place p;
    struct access_key made;
    struct err err;
    struct session_wish wish = {.role_arn = ARN, .session_name = "s", .seconds = 3600};

    place_new(&p);
    const struct access_key ci = make_key(&p, "ci", "deploy", "");
    CHECK_EQ(begin_at(&p, &ci, &wish, 2, &made, &err), ERR_ACCESS_DENIED);
    CHECK(strstr(err.message, "User: arn:aws:iam::" ACCOUNT ":user/ci is not authorized to perform: sts:AssumeRole on "
                              "resource: " ARN) != NULL);
    CHECK(strstr(err.message, "naru roles set team/deploy --role ROLE") != NULL);
    wish.role_arn = FOREIGN;
    CHECK_EQ(begin_at(&p, &ci, &wish, 2, &made, &err), ERR_ACCESS_DENIED);
    CHECK(strstr(err.message, "naru roles set " FOREIGN " --role ROLE") != NULL);
    static const char *const wrong[] = {"deploy", "arn:aws:iam::1:role/x", "arn:aws:iam::" ACCOUNT ":user/x",
                                        "arn:aws:iam::" ACCOUNT ":role/", "arn:aws:iam::" ACCOUNT ":role/a b"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        wish.role_arn = wrong[i];
        CHECK_EQ(begin_at(&p, &ci, &wish, 2, &made, &err), ERR_VALIDATION);
    }
    wish.role_arn = ARN;
    set_role(&p, "team/deploy", "push", NULL, "its id");
    CHECK_EQ(begin_at(&p, &ci, &wish, 2, &made, &err), ERR_ACCESS_DENIED);
    CHECK(strstr(err.message, "external id is missing") != NULL && strstr(err.message, "its id") == NULL);
    wish.external_id = "its ie";
    CHECK_EQ(begin_at(&p, &ci, &wish, 2, &made, &err), ERR_ACCESS_DENIED);
    wish.external_id = "its id";
    CHECK_EQ(begin_at(&p, &ci, &wish, 2, &made, &err), ERR_NONE);
    wish.seconds = 7201;
    CHECK_EQ(begin_at(&p, &ci, &wish, 2, &made, &err), ERR_VALIDATION);
    CHECK(strstr(err.message, "MaxSessionDuration") != NULL);
}

TEST(a_session_may_begin_sessions_but_not_without_end)
{
    cleanup(place_end) struct place p;
    struct access_key key, made;
    struct err err;
    char holder[KEY_PRINCIPAL_SIZE];
    struct session_wish wish = {.role_arn = ARN, .session_name = "s", .seconds = 3600};

    place_new(&p);
    const struct access_key ci = make_key(&p, "ci", "admin", "a/*");
    set_role(&p, "team/deploy", "deploy", "*/b", NULL);
    key = ci;
    for (int i = 1; i <= SESSION_DEPTH_MAX; i++) {
        key = begin(&p, &key, ARN);
        CHECK_EQ(key.depth, i);
        CHECK_TEXT(access_key_root_id(&key), ci.id);
        CHECK(access_key_holder(&key, ACCOUNT, holder));
        CHECK_TEXT(holder, "arn:aws:iam::" ACCOUNT ":user/ci");
    }
    CHECK_TEXT(key.role, "admin,deploy,deploy,deploy");
    CHECK_TEXT(key.repositories, "a/*;*/b;*/b;*/b");
    CHECK_EQ(begin_at(&p, &key, &wish, clock_wall_ms(), &made, &err), ERR_ACCESS_DENIED);
    const struct access_key first = begin(&p, &ci, ARN);
    wish.seconds = 3601;
    CHECK_EQ(begin_at(&p, &first, &wish, clock_wall_ms(), &made, &err), ERR_VALIDATION);
    CHECK(strstr(err.message, "1 hour session limit") != NULL);
    CHECK(access_keys_delete(p.keys_path, "ci", &err) && !is_there(&p, &key));
}

TEST(sessions_have_limits_and_old_ones_make_room)
{
    cleanup(place_end) struct place p;
    cleanup_json struct json *sessions = json_object(), *left = NULL;
    const int64_t now_ms = clock_wall_ms();
    struct access_key made;
    struct err err;
    const struct session_wish wish = {.seconds = 900};

    place_new(&p);
    const struct access_key ci = make_key(&p, "ci", "admin", ""), other = make_key(&p, "other", "admin", "");
    for (int i = 0; i < SESSIONS_MAX; i++) {
        cleanup_json struct json *row = json_object();
        char id[32];
        snprintf(id, sizeof(id), "ASIA%d", i);
        json_set(row, "parent", json_text(i < SESSIONS_OF_KEY_MAX ? ci.id : "AKIAGONE"));
        json_set(row, "expiresAt", json_int(now_ms + 60000));
        json_set(sessions, id, json_ref(row));
    }
    cleanup_json struct json *document = json_object();
    json_set(document, "sessions", json_ref(sessions));
    cleanup_free char *text = json_format(document);
    CHECK(file_write_atomic(p.sessions_path, str_of(text), 0600, &err));
    CHECK_EQ(begin_at(&p, &ci, &wish, now_ms, &made, &err), ERR_THROTTLING);
    CHECK(strstr(err.message, "1000 sessions") != NULL);
    CHECK_EQ(begin_at(&p, &other, &wish, now_ms, &made, &err), ERR_NONE); /* those of no key are gone */
    CHECK(key_sessions_list(p.sessions_path, now_ms, &left, &err));
    CHECK_EQ(json_size(left), SESSIONS_OF_KEY_MAX + 1);
    CHECK_EQ(begin_at(&p, &ci, &wish, now_ms + 61000, &made, &err), ERR_NONE); /* and these are over */
}

/* The limit of a key is not one of each session that it begins. */
TEST(sessions_of_sessions_count_for_the_key_behind_them)
{
    cleanup(place_end) struct place p;
    cleanup_json struct json *sessions = json_object(), *document = json_object();
    const int64_t now_ms = clock_wall_ms();
    struct access_key made;
    struct err err;
    const struct session_wish wish = {.role_arn = ARN, .session_name = "s", .seconds = 900};

    place_new(&p);
    set_role(&p, "team/deploy", "push", NULL, NULL);
    const struct access_key ci = make_key(&p, "ci", "admin", ""), other = make_key(&p, "other", "admin", "");
    const struct access_key first = begin(&p, &ci, ARN);
    cleanup_json struct json *before = NULL;
    cleanup(strbuf_done) struct strbuf text = {0};
    CHECK(file_read(p.sessions_path, 1 << 20, &text, &err));
    before = json_parse(strbuf_str(&text), &err);
    json_set(sessions, first.id, json_ref(json_get(json_get(before, "sessions"), first.id)));
    for (int i = 1; i < SESSIONS_OF_KEY_MAX; i++) {
        cleanup_json struct json *row = json_object();
        char id[32], above[32];
        snprintf(id, sizeof(id), "ASIA%d", i);
        snprintf(above, sizeof(above), "ASIA%d", i - 1);
        json_set(row, "parent", json_text(i % 2 == 1 ? first.id : above)); /* of it, or of one of those */
        json_set(row, "expiresAt", json_int(now_ms + 60000));
        json_set(sessions, id, json_ref(row));
    }
    json_set(document, "sessions", json_ref(sessions));
    cleanup_free char *full = json_format(document);
    CHECK(file_write_atomic(p.sessions_path, str_of(full), 0600, &err));
    CHECK_EQ(begin_at(&p, &first, &wish, now_ms, &made, &err), ERR_THROTTLING);
    CHECK(strstr(err.message, ci.id) != NULL && strstr(err.message, "1000 sessions") != NULL);
    CHECK_EQ(begin_at(&p, &ci, &wish, now_ms, &made, &err), ERR_THROTTLING);
    CHECK_EQ(begin_at(&p, &other, &wish, now_ms, &made, &err), ERR_NONE);
}

/* Nobody touches keys.json because naru had no descriptor left for a moment. */
TEST(keys_that_could_not_be_read_are_read_again)
{
    cleanup(place_end) struct place p;
    struct rlimit old;

    place_new(&p);
    const struct access_key ci = make_key(&p, "ci", "push", "");
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = old.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(!is_there(&p, &ci));
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(is_there(&p, &ci));
}

TEST(roles_are_kept_as_they_are_said_and_what_is_no_role_is_refused)
{
    cleanup(place_end) struct place p;
    cleanup_json struct json *all = NULL;
    struct err err = {0};
    static const char *const wrong[] = {"", "/x", "x/", "a b", "arn:aws:iam::12:role/x", "x:y",
                                        "a2345678901234567890123456789012345678901234567890123456789012345"};

    place_new(&p);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        const struct role_map map = {.name = wrong[i], .role = "push"};
        CHECK(!role_map_set(p.roles_path, &map, 0, &err));
        CHECK_EQ(err.code, ERR_USAGE);
    }
    const struct role_map long_one = {.name = "x", .role = "push", .seconds_max = 899};
    CHECK(!role_map_set(p.roles_path, &long_one, 0, &err));
    set_role(&p, "x", "push", "a/*", "id");
    set_role(&p, "x", "pull", "b/*", NULL);
    CHECK(role_map_list(p.roles_path, &all, &err));
    CHECK_EQ(json_size(all), 1);
    CHECK_TEXT(json_get_cstr(json_at(all, 0), "role", ""), "pull");
    CHECK_TEXT(json_get_cstr(json_at(all, 0), "externalId", "?"), "");
    CHECK(role_map_delete(p.roles_path, "x", &err) && !role_map_delete(p.roles_path, "x", &err));
    CHECK_EQ(err.code, ERR_NOT_FOUND);
}
