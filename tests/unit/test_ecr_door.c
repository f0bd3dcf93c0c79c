/* SPDX-License-Identifier: MIT */
/* What policies are told at the API's door: when a request came, and by which way. */
#include "check.h"

#include "api/operations.h"
#include "base/clock.h"
#include "io/file.h"
#include "registry/registry.h"

#define ACCOUNT "000000000000"
#define REGION "ap-northeast-2"
#define KEY "AKIADOOR"
#define SECRET "secret of the door"

struct door {
    char dir[32];
    struct registry *registry;
    struct api *api;
    bool is_secure; /* of what is sent next */
};

static void
door_new(struct door *d)
{
    struct err err = {0};

    *d = (struct door){.dir = "/tmp/naru-door-XXXXXX"};
    CHECK(mkdtemp(d->dir) != NULL);
    d->registry = registry_open(d->dir, ACCOUNT, REGION, &err);
    CHECK(d->registry != NULL &&
          registry_repository_create(d->registry, REGION, "team/web", NULL, &err));
    const struct api_config config = {.account = ACCOUNT,
                                      .default_region = REGION,
                                      .endpoint_url = "http://localhost:4566",
                                      .access_key_id = KEY,
                                      .secret_access_key = SECRET,
                                      .registry = d->registry};
    d->api = api_new(&config);
}

static void
door_end(struct door *d)
{
    struct err err = {0};

    api_free(d->api);
    registry_close(d->registry);
    CHECK(file_remove_tree(d->dir, &err));
}
#define DOOR(d)                      \
    cleanup(door_end) struct door d; \
    door_new(&d)

/* The status of ListImages. */
static int
list_images(struct door *d)
{
    cleanup(strbuf_done) struct strbuf authorization = {0};
    struct api_answer answer = {0};
    char stamp[24];

    clock_format_basic(clock_wall_ms(), stamp);
    struct sigv4_header headers[] = {
        {STR("Host"), STR("localhost:4566")},
        {STR("X-Amz-Date"), str_of(stamp)},
        {STR("X-Amz-Target"), STR("AmazonEC2ContainerRegistry_V20150921.ListImages")},
        {STR("Authorization"), STR("")},
    };
    struct api_request http = {.signed_part = {.method = STR("POST"),
                                               .path = STR("/"),
                                               .headers = headers,
                                               .header_count = 3,
                                               .body = STR("{\"repositoryName\":\"team/web\"}")},
                               .request_id = "00000000-0000-4000-8000-000000000000",
                               .is_secure = d->is_secure};
    sigv4_sign(&http.signed_part, KEY, SECRET, REGION, "ecr", stamp, "host;x-amz-date;x-amz-target",
               &authorization);
    headers[3].value = strbuf_str(&authorization);
    http.signed_part.header_count = 4;
    api_call(d->api, &http, &answer);
    strbuf_done(&answer.body);
    return answer.status;
}

static void
deny_where(struct door *d, const char *condition)
{
    struct err err = {0};
    cleanup_free char *text = text_format(
        "{\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"ecr:ListImages\","
        "\"Condition\":%s}}",
        condition);

    CHECK(registry_policy_set(d->registry, REGION, "team/web", text, &err));
    CHECK_TEXT(err.message, "");
}

TEST(a_policy_knows_what_time_it_is)
{
    DOOR(d);

    CHECK_EQ(list_images(&d), 200);
    deny_where(&d, "{\"DateGreaterThan\":{\"aws:CurrentTime\":\"2020-01-01T00:00:00Z\"}}");
    CHECK_EQ(list_images(&d), 400);
    deny_where(&d, "{\"DateLessThan\":{\"aws:CurrentTime\":\"2020-01-01T00:00:00Z\"}}");
    CHECK_EQ(list_images(&d), 200);
}

TEST(a_policy_knows_who_came_by_tls)
{
    DOOR(d);

    deny_where(&d, "{\"Bool\":{\"aws:SecureTransport\":\"false\"}}");
    CHECK_EQ(list_images(&d), 400);
    d.is_secure = true;
    CHECK_EQ(list_images(&d), 200);
}
