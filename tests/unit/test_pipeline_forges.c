/* SPDX-License-Identifier: MIT */
/* Strangers' code, verdicts to GitLab and Gitea, and the tokens that git fetches with. */
#include "pipeline_setup.h"
#include "io/identity.h"
#include "pipeline/forge/forge_status.h"
#include "pipeline/forge/git_login.h"
#include "pipeline/forks.h"
#include "pipeline/secrets.h"

/* ---- forks ---- */

#define CHANGE_FILE                                                                             \
    "sh 'echo \"%s key=$AWS_ACCESS_KEY_ID- to=$CHANGE_TARGET fork=$CHANGE_FORK\"'\n"            \
    "script { try { withCredentials([string(credentialsId: 'token', variable: 'T')]) "          \
    "{ echo 'has it' } } catch (e) { echo 'has none' } }\n"                                    \
    "sh 'echo docker $(cat $DOCKER_CONFIG/config.json)'\n"

/* A change of the Jenkinsfile; gives the commit of its merge. */
static void
fork_init(struct world *w, char merge[static 41])
{
    cleanup_free char *own = text_format(CHANGE_FILE, "own"), *theirs = text_format(CHANGE_FILE, "theirs");
    cleanup_free char *secrets = NULL, *path = NULL, *docker = NULL;
    cleanup_json struct json *token = json_parse(STR("{\"kind\":\"text\",\"text\":\"s3cret\"}"), NULL);
    struct err err;

    setenv("AWS_ACCESS_KEY_ID", "of-the-server", 1);
    web_init(w, "acme/web");
    docker = text_format("%s/docker", w->root);
    setenv("DOCKER_CONFIG", docker, 1);
    sh(w, "mkdir ../docker; echo '{\"auths\":{\"r.example\":{\"auth\":\"bWU6aXQ=\"}},"
          "\"proxies\":{}}' > ../docker/config.json");
    secrets = text_format("%s/secrets", w->data);
    CHECK(secrets_set(secrets, "token", token, "", &err));
    commit(w, own, "own");
    push(w, "web");
    sh(w, "git checkout -q -b topic");
    commit(w, theirs, "theirs");
    sh(w, "git push -q ../data/git/web.git HEAD:refs/pull/7/merge");
    path = git_remote_path(w->data, "web");
    CHECK(git_remote_ref(path, NULL, NULL, "refs/pull/7/merge", merge, &err));
}

static int
deliver_change(struct world *w, const char *id, const char *author, const char *head,
               struct strbuf *out)
{
    cleanup_free char *body = text_format(
        "{\"action\":\"opened\",\"number\":%s,\"repository\":{\"full_name\":\"acme/web\"},"
        "\"pull_request\":{\"number\":7,\"title\":\"t\",\"user\":{\"login\":\"%s\"},"
        "\"base\":{\"ref\":\"main\"},\"head\":{\"ref\":\"topic\",\"sha\":\"%s\","
        "\"repo\":{\"full_name\":\"%s/web\"}}}}",
        id, author, head, author);

    return deliver(w, "pull_request", id, body, SECRET, out);
}

static int64_t
number_in(const struct strbuf *answer)
{
    struct err err;
    cleanup_json struct json *j = json_parse(strbuf_str(answer), &err);

    return json_get_i64(j, "build", 0);
}

TEST(a_change_from_a_fork_is_built_as_the_policy_says)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    cleanup_free char *script = NULL;
    char merge[41];
    struct err err;
    int64_t number;

    fork_init(&w, merge);
    CHECK_EQ(deliver_change(&w, "1", "eve", merge, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "strangers") != NULL);
    CHECK(!room_set_forks(w.room, "web", "some", NULL, &err));
    CHECK(room_set_forks(w.room, "web", "target", "ann, bo", &err));
    room_down(&w); /* it is kept */
    room_up(&w);
    CHECK_EQ(deliver_change(&w, "2", "eve", merge, &out), 202);
    number = number_in(&out); /* main may have been found and built before */
    expect_result(&w, "web", number, "SUCCESS");
    expect_log(&w, "web", number, "the Jenkinsfile is that of refs/heads/main\n");
    expect_log(&w, "web", number, "own key=- to=main fork=eve/web\n");
    expect_log(&w, "web", number, "has none\n");
    script = text_format("! grep -q 'theirs key' ../data/builds/web/%lld/log", (long long)number);
    sh(&w, script);
    expect_log(&w, "web", number, "docker {\"proxies\":{}}\n");
}

/* What strangers' code could do in the workspace before the next checkout; `ran` tells who ran it. */
#define PLANT                                                                                     \
    "sh '''mkdir -p .git/hooks; d=$PWD\n"                                                          \
    "printf '%s\\\\n' '#!/bin/sh' \"id -u >>$d/ran\" >.git/hooks/post-checkout\n"                     \
    "chmod +x .git/hooks/post-checkout; cp .git/hooks/post-checkout .git/evil\n"                  \
    "echo '* filter=x' >.git/info/attributes; git config filter.x.smudge $PWD/.git/evil\n"        \
    "git config core.fsmonitor $PWD/.git/evil; git config core.sshCommand $PWD/.git/evil\n"       \
    "rm -f ran Jenkinsfile'''\n"                                                                  \
    "checkout scm\n"                                                                              \
    "sh 'test -e Jenkinsfile; touch ran; echo \"ran by [$(sort -u ran)]\"'\n"                     \
    "script { try { docker.image('x').inside { } } catch (e) { echo \"no: ${e.message}\" } }\n"

/* `config` is builds.json. */
static void
expect_planted(const char *config, const char *want)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    cleanup_free char *config_path = NULL, *path = NULL;
    char merge[41];
    struct err err;

    fork_init(&w, merge);
    path = git_remote_path(w.data, "web");
    config_path = text_format("%s/builds.json", w.data);
    CHECK(file_write_atomic(config_path, str_of(config), 0600, NULL));
    CHECK(room_set_forks(w.room, "web", "target", NULL, &err));
    sh(&w, "git checkout -q main");
    commit(&w, PLANT, "plant");
    push(&w, "web");
    for (int i = 0; i < 2; i++) {
        cleanup_free char *id = text_format("%d", 20 + i);
        int64_t number;
        sh(&w, "git checkout -q topic; git commit -q --allow-empty -m more; git checkout -q main\n"
               "git push -q -f ../data/git/web.git topic:refs/pull/7/merge");
        CHECK(git_remote_ref(path, NULL, NULL, "refs/pull/7/merge", merge, &err));
        CHECK_EQ(deliver_change(&w, id, "eve", merge, &out), 202);
        number = number_in(&out);
        expect_result(&w, "web", number, "SUCCESS");
        expect_log(&w, "web", number, want);
        expect_log(&w, "web", number, "no: this build may not use Docker: it is of a change that is not");
    }
}

/* Where naru has no users to give (here since the operator says so) git finds nothing of theirs. */
TEST(hooks_of_strangers_do_not_run_as_naru)
{
    expect_planted("{\"untrusted\": {\"user\": \"root\"}}", "\nran by []\n");
}

TEST(a_stranger_is_a_user_with_a_workspace_of_his_own)
{
    if (!identity_is_possible())
        check_skip("not root");
    else
        expect_planted("{\"users\": \"70000-70100\"}", "\nran by [700");
}

TEST(a_trusted_users_fork_is_built_as_the_repository_itself)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    char merge[41];
    struct err err;

    fork_init(&w, merge);
    CHECK(room_set_forks(w.room, "web", "target", "ann, bo", &err));
    CHECK_EQ(deliver_change(&w, "1", "bo", merge, &out), 202);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "theirs key=of-the-server- to=main fork=bo/web\n");
    expect_log(&w, "web", 1, "has it\n");
    sh(&w, "grep -q 'docker.*bWU6aXQ=' ../data/builds/web/1/log");
    CHECK(room_set_forks(w.room, "web", "everyone", NULL, &err));
    CHECK_EQ(room_fork_trust(w.room, "web", "eve", "eve/web"), FORK_TRUSTED);
    CHECK_EQ(room_fork_trust(w.room, "other", "eve", "eve/web"), FORK_REFUSED);
}

TEST(trust_is_of_the_author_and_of_whose_fork_it_is)
{
    static const struct {
        const char *author, *fork;
        enum fork_trust trust;
    } rows[] = {
        {"bo", "bo/web", FORK_TRUSTED},       {"bo", "Bo/web", FORK_TRUSTED},
        {"bo", "ann/web", FORK_TRUSTED},      {"bo", "team/apps/web", FORK_TRUSTED},
        {"bo", "eve/web", FORK_UNTRUSTED},    {"eve", "bo/web", FORK_UNTRUSTED},
        {"bo", "team/web", FORK_UNTRUSTED},   {"bo", "", FORK_UNTRUSTED},
        {"", "bo/web", FORK_UNTRUSTED},       {"", "/web", FORK_UNTRUSTED},
    };
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf many = {0};
    struct err err;

    web_init(&w, "acme/web");
    CHECK(room_set_forks(w.room, "web", "target", "ann, bo, team/apps", &err));
    for (unsigned i = 0; i <= FORKS_TRUSTED_MAX; i++)
        strbuf_addf(&many, "user%u,", i);
    CHECK(!room_set_forks(w.room, "web", "target", strbuf_cstr(&many), &err)); /* not only some */
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        CHECK_EQ(room_fork_trust(w.room, "web", rows[i].author, rows[i].fork), rows[i].trust);
}

/* ---- a forge's API ---- */

struct api {
    struct http_server *server;
    pthread_mutex_t mutex;
    struct strbuf asked; /* "POST /path who state\n" */
    int fails;           /* so many times with 429 first */
    bool slow, is_waiting; /* what asks for a repository of that name waits */
    bool empty;            /* tokens are */
    char url[64];
};

static void
answer(struct http_exchange *x, void *ctx)
{
    static const struct http_header soon[] = {{"Retry-After", "1"}, {NULL, NULL}};
    struct api *api = ctx;
    struct err err;
    cleanup_json struct json *body = json_parse(x->body, &err);
    struct str who = http_header_get(x, "PRIVATE-TOKEN");
    bool fails;

    if (who.len == 0)
        who = http_header_get(x, "Authorization");
    if (who.len > 20)
        who.len = 7; /* a JWT */
    pthread_mutex_lock(&api->mutex);
    fails = api->fails-- > 0;
    if (!fails)
        strbuf_addf(&api->asked, STR_FMT " " STR_FMT " " STR_FMT " %s %s\n", STR_ARG(x->method),
                    STR_ARG(x->path), STR_ARG(who), json_get_cstr(body, "state", ""),
                    json_get_cstr(body, "description", ""));
    while (api->slow && str_find(x->path, STR("/slow/")) >= 0) {
        api->is_waiting = true;
        pthread_mutex_unlock(&api->mutex);
        clock_sleep_ms(10);
        pthread_mutex_lock(&api->mutex);
    }
    pthread_mutex_unlock(&api->mutex);
    if (fails)
        http_reply(x, 429, soon, STR("{}"));
    else
        http_reply(x, 201, NULL,
                   str_ends(x->path, STR("installation")) ? STR("{\"id\":77}")
                   : api->empty                           ? STR("{}")
                                                          : STR("{\"token\":\"ghs_1\"}"));
}

static void
api_init(struct api *api)
{
    const struct http_route route = {.prefix = "/", .body_limit = 65536, .end = answer, .ctx = api};
    struct err err;

    *api = (struct api){.mutex = PTHREAD_MUTEX_INITIALIZER};
    api->server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    CHECK(api->server != NULL);
    snprintf(api->url, sizeof(api->url), "http://127.0.0.1:%u", http_server_port(api->server));
}

static void
api_done(struct api *api)
{
    http_server_stop(api->server);
    strbuf_done(&api->asked);
}

static void
expect_asked(struct world *w, struct api *api, const char *what)
{
    int64_t until_ms = clock_monotonic_ms() + 12000 * CHECK_PATIENCE;
    bool found = false;

    while (!found && clock_monotonic_ms() < until_ms) {
        pthread_mutex_lock(&api->mutex);
        found = strstr(strbuf_cstr(&api->asked), what) != NULL;
        pthread_mutex_unlock(&api->mutex);
        if (!found)
            (void)pipeline_wait(w->room, 20);
    }
    if (!found)
        check_fail(__FILE__, __LINE__, "not asked: %s, but\n%s", what, strbuf_cstr(&api->asked));
}

static void
keep_secret(struct world *w, const char *id, const char *text)
{
    cleanup_free char *secrets = text_format("%s/secrets", w->data);
    cleanup_json struct json *value = json_object();
    struct err err;

    json_set(value, "kind", json_text("text"));
    json_set(value, "text", json_text(text));
    CHECK(secrets_set(secrets, id, value, "", &err));
}

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

/* The repository cannot be fetched from there: an honest failure. */
TEST(gitlab_hears_of_verdicts)
{
    static const char *const headers[] = {"X-Gitlab-Event: Push Hook", "X-Gitlab-Token: hook", NULL};
    static const char body[] =
        "{\"ref\":\"refs/heads/main\",\"before\":\"0000000000000000000000000000000000000000\","
        "\"after\":\"" COMMIT "\",\"checkout_sha\":\"" COMMIT "\","
        "\"project\":{\"path_with_namespace\":\"acme/shop\"},\"commits\":[]}";
    cleanup(world_done) struct world w = {0};
    cleanup_free char *url = NULL;
    struct json *j = NULL;
    struct api api;
    struct err err;

    api_init(&api);
    api.fails = 1;
    web_init(&w, NULL);
    keep_secret(&w, "gitlab", "glpat-1");
    keep_secret(&w, "gitlab-webhook", "hook");
    url = text_format("%s/acme/shop.git", api.url);
    CHECK(pipeline_create(w.room, "shop", url, "acme/shop", &j, &err));
    json_unref(j);
    CHECK_EQ(call(&w, "POST", "/gitlab/webhook", body, headers, NULL), 202);
    expect_result(&w, "shop", 1, "FAILURE");
    expect_asked(&w, &api, "POST /api/v4/projects/acme%2Fshop/statuses/" COMMIT
                           " glpat-1 failed build 1: FAILURE: git fetch");
    room_down(&w);
    api_done(&api);
}

TEST(gitea_hears_of_verdicts)
{
    cleanup_free char *hook = NULL, *url = NULL, *signature = NULL;
    static const char body[] =
        "{\"ref\":\"refs/heads/main\",\"after\":\"" COMMIT "\",\"repository\":{\"full_name\":\"acme/shop\"},"
        "\"commits\":[]}";
    unsigned char mac[SHA256_LEN];
    char hex[SHA256_HEX + 1];
    cleanup(world_done) struct world w = {0};
    struct json *j = NULL;
    struct api api;
    struct err err;

    api_init(&api);
    web_init(&w, NULL);
    keep_secret(&w, "gitea", "t0ken");
    keep_secret(&w, "gitea-webhook", "hook");
    url = text_format("%s/acme/shop.git", api.url);
    CHECK(pipeline_create(w.room, "shop", url, "acme/shop", &j, &err));
    json_unref(j);
    hmac_sha256(STR("hook"), STR(body), mac);
    hex_encode(mac, sizeof(mac), hex);
    signature = text_format("X-Gitea-Signature: %s", hex);
    const char *const headers[] = {"X-Gitea-Event: push", "X-Gitea-Delivery: d1", signature, NULL};
    CHECK_EQ(call(&w, "POST", "/gitea/webhook", body, headers, NULL), 202);
    expect_asked(&w, &api, "POST /api/v1/repos/acme/shop/statuses/" COMMIT " token t0ken failure build 1: ");
    room_down(&w);
    api_done(&api);
}

TEST(tokens_go_to_their_forge_only)
{
    static const char *const rows[][3] = {
        {"https://gitlab.com/a/b.git", "gitlab", "https://gitlab.com/api/v4"},
        {"https://me@gitlab.example.org:8443/a/b", "gitlab", "https://gitlab.example.org:8443/api/v4"},
        {"git@codeberg.org:a/b.git", "gitea", "https://codeberg.org/api/v1"},
        {"ssh://git@gitea.example.org:2222/a/b", "gitea", "https://gitea.example.org/api/v1"},
        {"http://gitea.example.org/a/b", "gitea", NULL},
        {"/srv/gitlab/b.git", "github", NULL},
        {"file:///srv/gitea/b", "github", NULL},
        {"https://github.com/gitlab/b", "github", "https://github.com/api/v1"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const enum forge forge = forge_of(NULL, rows[i][0]);
        cleanup_free char *url = forge_api_url(forge, rows[i][0]);
        CHECK_TEXT(forge_name(forge), rows[i][1]);
        CHECK(forge == FORGE_GITHUB || (url == NULL) == (rows[i][2] == NULL));
        if (url != NULL && forge != FORGE_GITHUB)
            CHECK_TEXT(url, rows[i][2]);
    }
    CHECK_EQ(forge_of("gitea", "https://git.example.org/a/b"), FORGE_GITEA);
    CHECK_EQ(forge_of("gitea", "https://GitHub.com:443/a/b"), FORGE_GITHUB);
    CHECK_EQ(forge_of("gitea", "https://github.com.example.org/a/b"), FORGE_GITEA);
}

TEST(git_fetches_with_the_token_of_the_forge_that_webhooks_told)
{
    static const char *const forges[] = {"github", "gitlab", "gitea"};
    cleanup(world_done) struct world w = {0};
    cleanup_free char *secrets = NULL;
    struct err err;

    world_init(&w);
    sh(&w, "mkdir -p ../data");
    secrets = text_format("%s/secrets", w.data);
    for (size_t i = 0; i < ARRAY_COUNT(forges); i++) {
        cleanup_json struct json *value = json_object();
        json_set(value, "kind", json_text("text"));
        json_set(value, "text", json_text(forges[i]));
        CHECK(secrets_set(secrets, forges[i], value, "", &err));
    }
    for (size_t i = 0; i < ARRAY_COUNT(forges); i++) {
        cleanup(git_login_done) struct git_login own = {0}, theirs = {0};
        git_login_find(secrets, forges[i], "https://git.example.org/acme/web.git", &own);
        CHECK_TEXT(own.token, forges[i]);
        git_login_find(secrets, forges[i], "https://github.com/acme/web.git", &theirs);
        CHECK_TEXT(theirs.token, "github");
    }
}

TEST(git_fetches_with_a_token_of_the_apps_installation)
{
    cleanup(world_done) struct world w = {0};
    cleanup(git_login_done) struct git_login login = {0}, again = {0};
    cleanup_free char *secrets = NULL, *path = NULL;
    cleanup(strbuf_done) struct strbuf key = {0};
    cleanup_json struct json *value = json_object();
    struct api api;
    struct err err;

    api_init(&api);
    world_init(&w);
    sh(&w, "mkdir -p ../data; openssl genrsa -out ../key.pem 2048 2>/dev/null");
    path = text_format("%s/key.pem", w.root);
    CHECK(file_read(path, 65536, &key, NULL));
    json_set(value, "kind", json_text("github-app"));
    json_set(value, "appId", json_text("5"));
    json_set(value, "privateKey", json_text(strbuf_cstr(&key)));
    secrets = text_format("%s/secrets", w.data);
    CHECK(secrets_set(secrets, "github", value, "", &err));
    git_login_use_api(api.url);
    git_login_find(secrets, NULL, "https://github.com/acme/web.git", &login);
    CHECK_TEXT(login.token, "ghs_1");
    CHECK_TEXT(login.variables[1], "GIT_CONFIG_KEY_0=http.https://github.com/.extraHeader");
    git_login_find(secrets, NULL, "https://github.com/acme/api.git", &again);
    CHECK_TEXT(again.token, "ghs_1");
    CHECK_TEXT(strbuf_cstr(&api.asked), "GET /repos/acme/web/installation Bearer   \n"
                                        "POST /app/installations/77/access_tokens Bearer   \n");
    git_login_use_api(NULL);
    api_done(&api);
}

TEST(damaged_records_of_deliveries_are_set_aside)
{
    static const char *const damaged[] = {"{\"a\": 1}", "[\"a\", ", "[1, 2]"};
    cleanup(world_done) struct world w = {0};
    struct err err;

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(damaged); i++) {
        cleanup_free char *path = text_format("%s/builds/deliveries.json", w.data);
        CHECK(file_make_dirs(w.data, 0755, NULL));
        sh(&w, "mkdir -p ../data/builds");
        CHECK(file_write_atomic(path, str_of(damaged[i]), 0600, NULL));
        room_up(&w);
        CHECK(pipeline_delivery_is_new(w.room, STR("d1")));
        CHECK(pipeline_delivery_seen(w.room, STR("d1"), &err));
        CHECK(!pipeline_delivery_is_new(w.room, STR("d1")));
        room_down(&w);
    }
    sh(&w, "grep -q 2 ../data/builds/deliveries.json.damaged");
}

TEST(a_pipeline_is_made_with_its_policy_or_not_at_all)
{
    static const char *const auth[] = {"Authorization: let me in", NULL};
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    cleanup_json struct json *before = NULL, *after = NULL;

    world_init(&w);
    room_up(&w);
    sh(&w, "mkdir -p ../data/builds/web/pipeline.json/full"); /* cannot be written */
    CHECK_EQ(call(&w, "POST", "/naru/pipelines", "{\"name\":\"web\",\"url\":\"/x\",\"forks\":\"target\"}", auth, &out), 500);
    CHECK_EQ(call(&w, "GET", "/naru/pipelines", NULL, auth, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "\"pipelines\":[]") != NULL);
    sh(&w, "rm -r ../data/builds/web");
    CHECK_EQ(call(&w, "POST", "/naru/pipelines", "{\"name\":\"web\",\"url\":\"/x\",\"github\":\"a/b\",\"forks\":\"target\"}", auth, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "\"build\":\"target\"") != NULL);
    sh(&w, "rm ../data/builds/web/pipeline.json && mkdir -p ../data/builds/web/pipeline.json/full");
    before = pipeline_list(w.room); /* nor is one that is there half changed */
    CHECK_EQ(call(&w, "POST", "/naru/pipelines", "{\"name\":\"web\",\"url\":\"/x\",\"github\":\"c/d\",\"forks\":\"none\"}", auth, &out), 500);
    after = pipeline_list(w.room);
    CHECK(json_equal(json_get(before, "pipelines"), json_get(after, "pipelines")));
}

/* --- several that ask for a login --- */

struct asking {
    const char *secrets, *url;
    char token[64];
};

static void *
ask_login(void *arg)
{
    struct asking *a = arg;
    cleanup(git_login_done) struct git_login login = {0};

    git_login_find(a->secrets, NULL, a->url, &login);
    text_copy_all(a->token, sizeof(a->token), login.token == NULL ? "" : login.token);
    return NULL;
}

static char *
keep_app(const struct world *w)
{
    cleanup_free char *path = text_format("%s/key.pem", w->root);
    cleanup(strbuf_done) struct strbuf key = {0};
    cleanup_json struct json *value = json_object();
    char *secrets = text_format("%s/secrets", w->data);
    struct err err;

    sh(w, "mkdir -p ../data; openssl genrsa -out ../key.pem 2048 2>/dev/null");
    CHECK(file_read(path, 65536, &key, NULL));
    json_set(value, "kind", json_text("github-app"));
    json_set(value, "appId", json_text("5"));
    json_set(value, "privateKey", json_text(strbuf_cstr(&key)));
    CHECK(secrets_set(secrets, "github", value, "", &err));
    return secrets;
}

/* GitHub answers the one that asks for acme/slow only when the one for acme/web has its token. */
TEST(who_waits_for_github_holds_nobody_up)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *secrets = NULL;
    struct asking slow = {.url = "https://github.com/acme/slow.git"},
                  quick = {.url = "https://github.com/acme/web.git"};
    struct api api;
    pthread_t thread;

    api_init(&api);
    world_init(&w);
    secrets = keep_app(&w);
    slow.secrets = quick.secrets = secrets;
    git_login_use_api(api.url);
    pthread_mutex_lock(&api.mutex);
    api.slow = true;
    pthread_mutex_unlock(&api.mutex);
    CHECK(pthread_create(&thread, NULL, ask_login, &slow) == 0);
    for (bool waits = false; !waits; clock_sleep_ms(10)) {
        pthread_mutex_lock(&api.mutex);
        waits = api.is_waiting;
        pthread_mutex_unlock(&api.mutex);
    }
    ask_login(&quick);
    CHECK_TEXT(quick.token, "ghs_1");
    pthread_mutex_lock(&api.mutex);
    CHECK(api.is_waiting); /* it has not given up */
    api.slow = false;
    pthread_mutex_unlock(&api.mutex);
    pthread_join(thread, NULL);
    CHECK_TEXT(slow.token, "ghs_1");
    git_login_use_api(NULL);
    api_done(&api);
}

TEST(an_answer_without_a_token_is_not_kept)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *secrets = NULL;
    struct asking a = {.url = "https://github.com/acme/web.git"};
    struct api api;

    api_init(&api);
    world_init(&w);
    a.secrets = secrets = keep_app(&w);
    git_login_use_api(api.url);
    api.empty = true;
    ask_login(&a);
    CHECK_TEXT(a.token, "");
    api.empty = false;
    ask_login(&a);
    CHECK_TEXT(a.token, "ghs_1");
    git_login_use_api(NULL);
    api_done(&api);
}
