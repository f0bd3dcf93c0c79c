/* SPDX-License-Identifier: MIT */
/* What a build may do: by a key of its own, as long as it goes on; and its docker configuration. */
#include "pipeline/build_key.h"

#include "io/access_keys.h"
#include "pipeline_setup.h"

/* Tells its key and waits for the file `go`. */
#define TELLING_STEP                                                                              \
    "sh 'printf %s $AWS_ACCESS_KEY_ID > ../id; printf %s $AWS_SECRET_ACCESS_KEY > ../secret; "    \
    "echo secret=$AWS_SECRET_ACCESS_KEY; touch ../up; while [ ! -e ../go ]; do sleep 0.02; done'"
#define WAIT_UNTIL_UP \
    "for i in $(seq 300); do [ -e ../data/workspaces/web/up ] && exit 0; sleep 0.05; done; exit 1"

struct told {
    struct strbuf id, secret;
};

static void
told_done(struct told *t)
{
    strbuf_done(&t->id);
    strbuf_done(&t->secret);
}

static void
world_with_keys(struct world *w, const char *roles)
{
    w->keys = access_keys_new("/nonexistent/keys.json", "AKIAROOT", "root secret");
    w->build_roles = roles;
}

static void
end_with_keys(struct world *w)
{
    struct access_keys *keys = w->keys;

    world_done(w);
    access_keys_free(keys);
}

static void
read_told(const struct world *w, struct told *out)
{
    cleanup_free char *id = text_format("%s/workspaces/web/id", w->data);
    cleanup_free char *secret = text_format("%s/workspaces/web/secret", w->data);

    sh(w, WAIT_UNTIL_UP);
    CHECK(file_read(id, 1000, &out->id, NULL) && file_read(secret, 1000, &out->secret, NULL));
}

static void
expect_key(const struct world *w, const struct told *t, const char *role)
{
    struct access_key key;
    char principal[KEY_PRINCIPAL_SIZE];

    CHECK(access_keys_find(w->keys, strbuf_str(&t->id), &key));
    CHECK_TEXT(key.secret, strbuf_cstr(&t->secret));
    CHECK_TEXT(key.role, role);
    CHECK_TEXT(key.name, "naru-build/web-1");
    access_key_principal(&key, "000000000000", principal);
    CHECK_TEXT(principal, "arn:aws:sts::000000000000:assumed-role/naru-build/web-1");
}

TEST(a_build_has_a_key_of_its_own_until_it_ends)
{
    cleanup(end_with_keys) struct world w = {0};
    cleanup(told_done) struct told t = {0};
    struct access_key key;

    world_with_keys(&w, NULL);
    web_first(&w, TELLING_STEP);
    read_told(&w, &t);
    CHECK(strcmp(strbuf_cstr(&t.id), "AKIAROOT") != 0);
    expect_key(&w, &t, "deploy");
    sh(&w, "test $(stat -c %a ../data/builds/web/1/run/key.json) = 600");
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "secret=****");
    CHECK(!access_keys_find(w.keys, strbuf_str(&t.id), &key));
    sh(&w, "! grep -rqF \"$(cat ../data/workspaces/web/secret)\" ../data/builds");
}

TEST(the_key_of_a_build_outlives_a_restart_with_the_role_that_is_said_now)
{
    cleanup(end_with_keys) struct world w = {0};
    cleanup(told_done) struct told t = {0};
    struct access_key key;

    world_with_keys(&w, "deploy");
    web_first(&w, TELLING_STEP);
    read_told(&w, &t);
    room_down(&w);
    access_keys_free(w.keys);
    world_with_keys(&w, "deploy,w*=push");
    room_up(&w); /* the script asks for something before its build has a thread */
    expect_key(&w, &t, "push");
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 1, "SUCCESS");
    CHECK(!access_keys_find(w.keys, strbuf_str(&t.id), &key));
}

TEST(roles_of_builds_are_said_for_all_and_for_some)
{
    char role[16];
    struct err err = {0};

    CHECK_TEXT(build_role_of(NULL, "web", role), "deploy");
    CHECK_TEXT(build_role_of("", "web", role), "deploy");
    CHECK_TEXT(build_role_of("pull", "web", role), "pull");
    CHECK_TEXT(build_role_of("push, infra=admin ,docs-*=pull", "web", role), "push");
    CHECK_TEXT(build_role_of("push, infra=admin ,docs-*=pull", "infra", role), "admin");
    CHECK_TEXT(build_role_of("push, infra=admin ,docs-*=pull", "docs-a", role), "pull");
    CHECK_TEXT(build_role_of("infra=admin", "infra-2", role), "deploy");
    CHECK(build_roles_check("push, infra=admin ,docs-*=pull", &err));
    CHECK(!build_roles_check("root", &err) && strstr(err.message, "'root' is no role") != NULL);
    CHECK(!build_roles_check("deploy,=admin", &err) && strstr(err.message, "names no pipeline"));
    CHECK(!build_roles_check("deploy,,pull", &err) && build_roles_check("", &err));
}

TEST(lent_keys_have_a_limit_and_take_the_place_of_their_name)
{
    struct access_keys *keys = access_keys_new("/nonexistent/keys.json", "AKIAROOT", "root secret");
    struct access_key key = {.role = "pull"}, found;
    struct err err = {0};
    char first[64];

    for (int i = 0; i < KEYS_LENT_MAX; i++) {
        access_key_make_lent(&key);
        snprintf(key.name, sizeof(key.name), "naru-build/web-%d", i);
        CHECK(access_keys_lend(keys, &key, &err));
        if (i == 0)
            text_copy_all(first, sizeof(first), key.id);
    }
    snprintf(key.name, sizeof(key.name), "naru-build/web-x");
    CHECK(!access_keys_lend(keys, &key, &err));
    snprintf(key.name, sizeof(key.name), "naru-build/web-0");
    access_key_make_lent(&key);
    CHECK(access_keys_lend(keys, &key, &err));
    CHECK(access_keys_find(keys, str_of(key.id), &found) && !access_keys_find(keys, str_of(first), &found));
    CHECK(!access_keys_find(keys, STR(""), &found));
    access_keys_take_back(keys, "naru-build/web-0");
    CHECK(!access_keys_find(keys, str_of(key.id), &found));
    access_keys_take_back(keys, "naru-build/web-0");
    access_keys_free(keys);
}

TEST(a_docker_login_of_a_build_stays_in_it)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    sh(&w, "mkdir -p ../home/.docker/contexts && echo '{\"mine\":1}' > ../home/.docker/config.json && "
           "echo c > ../home/.docker/contexts/c");
    cleanup_free char *home = text_format("%s/home", w.root), *old = text_dup(getenv("HOME"));
    setenv("HOME", home, 1);
    unsetenv("DOCKER_CONFIG");
    room_up(&w);
    create(&w, "web", NULL);
    CHECK_EQ(web_build(&w, "sh 'cat $DOCKER_CONFIG/config.json $DOCKER_CONFIG/contexts/c; "
                           "echo login > $DOCKER_CONFIG/config.json; echo $DOCKER_CONFIG'", "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "{\"mine\":1}\nc\n");
    expect_log(&w, "web", 1, "/data/workspaces/web/main@tmp/docker\n");
    sh(&w, "grep -q mine ../home/.docker/config.json && test -e ../home/.docker/contexts/c");
    if (old != NULL)
        setenv("HOME", old, 1);
}

TEST(a_build_that_gets_no_key_when_it_is_taken_up_leaves_no_script_behind)
{
    cleanup(end_with_keys) struct world w = {0};
    struct access_keys *first;
    struct access_key key = {.role = "pull"};
    struct err err;

    world_with_keys(&w, NULL);
    web_first(&w, "sh 'echo $$ > ../pid; touch ../up; while [ ! -e ../go ]; do sleep 0.02; done'");
    sh(&w, WAIT_UNTIL_UP);
    room_down(&w);
    first = w.keys;
    world_with_keys(&w, NULL);
    access_keys_free(first);
    for (int i = 0; i < KEYS_LENT_MAX; i++) { /* there is none left for it */
        access_key_make_lent(&key);
        snprintf(key.name, sizeof(key.name), "naru-build/other-%d", i);
        CHECK(access_keys_lend(w.keys, &key, &err));
    }
    room_up(&w);
    expect_result(&w, "web", 1, "FAILURE");
    sh(&w, IS_GONE);
}
