/* SPDX-License-Identifier: MIT */
/* What policies are told at the API's door: when a request came, and by which way; and who may do what
 * below /naru/, and what the audit log says of it. */
#include "check.h"

#include "api/access.h"
#include "base/clock.h"
#include "daemon/registry_admin.h"
#include "io/audit.h"
#include "io/file.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/role_map.h"
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

/* Gives the status. */
static int
ask(struct door *d, const char *operation, const char *body, struct strbuf *answer_out)
{
    cleanup(strbuf_done) struct strbuf authorization = {0};
    cleanup_free char *target = text_format("AmazonEC2ContainerRegistry_V20150921.%s", operation);
    struct api_answer answer = {0};
    char stamp[24];

    clock_format_basic(clock_wall_ms(), stamp);
    struct sigv4_header headers[] = {
        {STR("Host"), STR("localhost:4566")},
        {STR("X-Amz-Date"), str_of(stamp)},
        {STR("X-Amz-Target"), str_of(target)},
        {STR("Authorization"), STR("")},
    };
    struct api_request http = {.signed_part = {.method = STR("POST"),
                                               .path = STR("/"),
                                               .headers = headers,
                                               .header_count = 3,
                                               .body = str_of(body)},
                               .request_id = "00000000-0000-4000-8000-000000000000",
                               .is_secure = d->is_secure};
    sigv4_sign(&http.signed_part, KEY, SECRET, REGION, "ecr", stamp, "host;x-amz-date;x-amz-target",
               &authorization);
    headers[3].value = strbuf_str(&authorization);
    http.signed_part.header_count = 4;
    api_call(d->api, &http, &answer);
    strbuf_add(answer_out, strbuf_str(&answer.body));
    strbuf_done(&answer.body);
    return answer.status;
}

/* The status of ListImages. */
static int
list_images(struct door *d)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    return ask(d, "ListImages", "{\"repositoryName\":\"team/web\"}", &answer);
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

#define BACKFILL "01234567-89ab-cdef-0123-456789abcdef"
#define BACKFILL_IMAGES 500

/* One that has ended; the last of its images failed. Gives the bytes of its results. */
static int64_t
put_backfill(struct door *d)
{
    cleanup_free char *folder = text_format("%s/registry/" REGION "/_backfills", d->dir);
    cleanup_free char *summary = text_format("%s/" BACKFILL ".json", folder), *list = text_format("%s/" BACKFILL ".images", folder);
    cleanup(strbuf_done) struct strbuf images = {0};
    struct err err = {0};

    for (int i = 0; i < BACKFILL_IMAGES; i++)
        strbuf_addf(&images, "%s\n{\"repositoryName\":\"r%d\",\"imageDigest\":\"sha256:%064d\",\"tags\":[],\"status\":\"%s\"}",
                    i > 0 ? "," : "[", i, i, i + 1 < BACKFILL_IMAGES ? "COMPLETE" : "FAILED");
    strbuf_add_cstr(&images, "\n]");
    CHECK(file_make_dirs(folder, 0750, &err) && file_write_atomic(list, strbuf_str(&images), 0640, &err));
    CHECK(file_write_atomic(summary,
                            STR("{\"replicationBackfillId\":\"" BACKFILL "\",\"status\":\"COMPLETE\",\"progress\":{},"
                                "\"destination\":{\"region\":\"eu-north-1\",\"registryId\":\"" ACCOUNT "\"}}"), 0640, &err));
    return (int64_t)images.len;
}

/* Of all files, by this process. */
static int64_t
bytes_read(void)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    long long bytes = -1;
    struct err err = {0};

    CHECK(file_read("/proc/self/io", 4096, &text, &err));
    CHECK_EQ(sscanf(strbuf_cstr(&text), "rchar: %lld", &bytes), 1);
    return bytes;
}

/* Of a hundred thousand images one may have failed: the file, of some 20 MB, is not read for each few of them. */
TEST(results_that_are_few_are_found_at_little_cost)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf answer = {0};
    const int64_t size = put_backfill(&d), before = bytes_read();

    CHECK_EQ(ask(&d, "DescribeReplicationBackfillResults",
                 "{\"replicationBackfillId\":\"" BACKFILL "\",\"resultStatusFilter\":\"FAILED\",\"maxResults\":1}", &answer), 200);
    CHECK(bytes_read() - before < 20 * size);
    cleanup_json struct json *told = json_parse(strbuf_str(&answer), NULL);
    CHECK_EQ(json_size(json_get(told, "results")), 1);
    CHECK_TEXT(json_get_cstr(json_at(json_get(told, "results"), 0), "repositoryName", ""), "r499");
    CHECK(json_get(told, "nextToken") == NULL);
}

#define DELETED 30

/* Of indexes of nothing, each with a tag, and with some bytes to read. */
static char *
put_indexes(struct door *d)
{
    cleanup(strbuf_done) struct strbuf ids = {0};
    struct err err = {0};

    for (int i = 0; i < DELETED; i++) {
        char tag[16], digest[REGISTRY_DIGEST_SIZE];
        cleanup_free char *manifest = text_format("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
                                                  "\"manifests\":[],\"annotations\":{\"a\":\"%02000d\"}}", i);
        snprintf(tag, sizeof tag, "v%d", i);
        const struct registry_put put = {.manifest = str_of(manifest), .tag = tag};
        CHECK(registry_manifest_put(d->registry, REGION, "team/web", &put, digest, &err));
        strbuf_addf(&ids, "%s{\"imageTag\":\"%s\"}", i > 0 ? "," : "", tag);
    }
    return text_format("{\"repositoryName\":\"team/web\",\"imageIds\":[%s,{\"imageTag\":\"none\"}]}", strbuf_cstr(&ids));
}

TEST(many_images_are_deleted_by_one_look_at_their_repository)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup_free char *body = put_indexes(&d);
    const int64_t before = bytes_read();

    CHECK_EQ(ask(&d, "BatchDeleteImage", body, &answer), 200);
    CHECK(bytes_read() - before < 4LL * DELETED * 2000); /* all of them for each is half that number of times as much */
    cleanup_json struct json *told = json_parse(strbuf_str(&answer), NULL);
    CHECK_EQ(json_size(json_get(told, "imageIds")), DELETED);
    CHECK_EQ(json_size(json_get(told, "failures")), 1);
}

/* The file that says of an image what it is. */
static char *
record_of(const struct door *d, const char *tag)
{
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(registry_resolve(d->registry, REGION, "team/web", tag, digest, &err));
    return text_format("%s/registry/" REGION "/team/web/_manifests/%s", d->dir, digest + 7);
}

TEST(an_image_that_cannot_be_read_fails_no_batch)
{
    DOOR(d);
    cleanup(strbuf_done) struct strbuf got = {0}, deleted = {0};
    cleanup_free char *body = put_indexes(&d), *record = record_of(&d, "v1");
    struct err err = {0};

    CHECK(file_write_atomic(record, STR("{"), 0640, &err));
    CHECK_EQ(ask(&d, "BatchGetImage", body, &got), 200);
    cleanup_json struct json *told = json_parse(strbuf_str(&got), NULL);
    CHECK_EQ(json_size(json_get(told, "images")), DELETED - 1);
    const struct json *failure = json_at(json_get(told, "failures"), 0);
    CHECK_EQ(json_size(json_get(told, "failures")), 2); /* and one is not there */
    CHECK_TEXT(json_get_cstr(json_get(failure, "imageId"), "imageTag", ""), "v1");
    CHECK_TEXT(json_get_cstr(failure, "failureCode", ""), "ImageInaccessible");
    CHECK_EQ(ask(&d, "BatchDeleteImage", body, &deleted), 200);
    cleanup_json struct json *gone = json_parse(strbuf_str(&deleted), NULL);
    CHECK_EQ(json_size(json_get(gone, "imageIds")), DELETED);
}

/* ---- what the API takes, and what it tells ---- */

/* The answer. `code`: the error's, "" for none. */
static struct json *
answer_of(struct door *d, const char *operation, const char *body, const char *code)
{
    cleanup(strbuf_done) struct strbuf answer = {0};

    CHECK_EQ(ask(d, operation, body, &answer), code[0] == '\0' ? 200 : 400);
    struct json *told = json_parse(strbuf_str(&answer), NULL);
    CHECK_TEXT(json_get_cstr(told, "__type", ""), code);
    return told;
}

static void
expect(struct door *d, const char *operation, const char *body, const char *code)
{
    json_unref(answer_of(d, operation, body, code));
}

#define REPLICATE(region, filter)                                                                          \
    "{\"replicationConfiguration\":{\"rules\":[{\"destinations\":[{\"registryId\":\"" ACCOUNT              \
    "\",\"region\":\"" region "\"}],\"repositoryFilters\":[{\"filterType\":\"PREFIX_MATCH\",\"filter\":\"" \
    filter "\"}]}]}}"
#define SCAN(filter)                                                                                            \
    "{\"rules\":[{\"scanFrequency\":\"SCAN_ON_PUSH\",\"repositoryFilters\":[{\"filterType\":\"WILDCARD\"," \
    "\"filter\":\"" filter "\"}]}]}"

/* They would be kept, and do nothing. */
TEST(a_filter_that_no_repository_can_suit_and_a_region_that_is_none_are_refused)
{
    DOOR(d);

    expect(&d, "PutReplicationConfiguration", REPLICATE("eu-west-1", "team/a.b_c-9"), "");
    expect(&d, "PutReplicationConfiguration", REPLICATE("eu-west-1", "Team"), "InvalidParameterException");
    expect(&d, "PutReplicationConfiguration", REPLICATE("eu-west-1", "te*m"), "InvalidParameterException");
    expect(&d, "PutReplicationConfiguration", REPLICATE("eu west 1", "team"), "InvalidParameterException");
    expect(&d, "StartReplicationBackfill", "{\"destination\":{\"registryId\":\"" ACCOUNT "\",\"region\":\"EU-WEST-1\"}}",
           "InvalidParameterException");
    expect(&d, "PutRegistryScanningConfiguration", SCAN("*/team/a.b_c-*"), "");
    expect(&d, "PutRegistryScanningConfiguration", SCAN("Team*"), "InvalidParameterException");
    expect(&d, "PutRegistryScanningConfiguration", SCAN("te?m"), "InvalidParameterException");
}

#define REFERRERS 21

TEST(referrers_come_twenty_at_a_time_and_fifty_at_most)
{
    DOOR(d);
    char subject[REGISTRY_DIGEST_SIZE], digest[REGISTRY_DIGEST_SIZE];
    const struct registry_put put = {.manifest = STR("{\"schemaVersion\":2,\"manifests\":[]}")};
    struct err err = {0};

    CHECK(registry_manifest_put(d.registry, REGION, "team/web", &put, subject, &err));
    for (int i = 0; i < REFERRERS; i++) {
        cleanup_free char *manifest = text_format(
            "{\"schemaVersion\":2,\"manifests\":[],\"artifactType\":\"a/b\",\"annotations\":{\"n\":\"%d\"},\"subject\":"
            "{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":\"%s\",\"size\":1}}", i, subject);
        const struct registry_put referrer = {.manifest = str_of(manifest)};
        CHECK(registry_manifest_put(d.registry, REGION, "team/web", &referrer, digest, &err));
    }
    cleanup_free char *plain = text_format("{\"repositoryName\":\"team/web\",\"subjectId\":{\"imageDigest\":\"%s\"}}", subject);
    cleanup_json struct json *page = answer_of(&d, "ListImageReferrers", plain, "");
    CHECK_EQ(json_size(json_get(page, "referrers")), 20);
    CHECK(json_get(page, "nextToken") != NULL);
    cleanup_free char *most = text_format("%.*s,\"maxResults\":50}", (int)strlen(plain) - 1, plain);
    cleanup_json struct json *all = answer_of(&d, "ListImageReferrers", most, "");
    CHECK_EQ(json_size(json_get(all, "referrers")), REFERRERS);
    cleanup_free char *more = text_format("%.*s,\"maxResults\":51}", (int)strlen(plain) - 1, plain);
    expect(&d, "ListImageReferrers", more, "InvalidParameterException");
    expect(&d, "ListReplicationBackfills", "{\"maxResults\":50}", "");
    expect(&d, "ListReplicationBackfills", "{\"maxResults\":51}", "InvalidParameterException");
}

static const char *
first_prefix(const struct json *told)
{
    return json_get_cstr(json_at(json_get(told, "repositoryCreationTemplates"), 0), "prefix", "");
}

TEST(a_template_is_of_its_prefix_with_and_without_a_slash)
{
    DOOR(d);

    expect(&d, "CreateRepositoryCreationTemplate", "{\"prefix\":\"r\",\"appliedFor\":[\"CREATE_ON_PUSH\"]}", "");
    expect(&d, "CreateRepositoryCreationTemplate", "{\"prefix\":\"r/\",\"appliedFor\":[\"REPLICATION\"]}",
           "TemplateAlreadyExistsException");
    cleanup_json struct json *told = answer_of(&d, "DescribeRepositoryCreationTemplates", "{\"prefixes\":[\"r/\"]}", "");
    CHECK_TEXT(first_prefix(told), "r");
    expect(&d, "UpdateRepositoryCreationTemplate", "{\"prefix\":\"r/\",\"description\":\"d\"}", "");
    cleanup_json struct json *same = answer_of(&d, "DescribeRepositoryCreationTemplates", "{\"prefixes\":[\"r\"]}", "");
    CHECK_TEXT(first_prefix(same), "r");
    expect(&d, "DeleteRepositoryCreationTemplate", "{\"prefix\":\"r/\"}", "");
    expect(&d, "DeleteRepositoryCreationTemplate", "{\"prefix\":\"r\"}", "TemplateNotFoundException");
    for (size_t i = 0; i < 4; i++) {
        static const char *const none[] = {"/", "a//b", "-a", "a/b//"};
        cleanup_free char *body = text_format("{\"prefix\":\"%s\",\"appliedFor\":[\"REPLICATION\"]}", none[i]);
        expect(&d, "CreateRepositoryCreationTemplate", body, "InvalidParameterException");
    }
}

TEST(a_template_tells_the_encryption_of_its_repositories)
{
    DOOR(d);
    cleanup_json struct json *told = answer_of(
        &d, "CreateRepositoryCreationTemplate", "{\"prefix\":\"made\",\"appliedFor\":[\"CREATE_ON_PUSH\"]}", "");
    const struct json *encryption = json_get(json_get(told, "repositoryCreationTemplate"), "encryptionConfiguration");

    CHECK_TEXT(json_get_cstr(encryption, "encryptionType", ""), "AES256");
}

TEST(a_cache_rule_is_of_a_prefix_that_repositories_can_have)
{
    DOOR(d);

    for (size_t i = 0; i < 4; i++) {
        static const char *const none[] = {"a//b", "-quay", "quay.", "a/-b"};
        cleanup_free char *body = text_format("{\"ecrRepositoryPrefix\":\"%s\",\"upstreamRegistryUrl\":\"quay.io\"}", none[i]);
        expect(&d, "CreatePullThroughCacheRule", body, "InvalidParameterException");
    }
    expect(&d, "CreatePullThroughCacheRule", "{\"ecrRepositoryPrefix\":\"q/\",\"upstreamRegistryUrl\":\"quay.io\"}", "");
    cleanup_json struct json *told =
        answer_of(&d, "DescribePullThroughCacheRules", "{\"ecrRepositoryPrefixes\":[\"q/\"]}", "");
    CHECK_EQ(json_size(json_get(told, "pullThroughCacheRules")), 1);
    expect(&d, "DescribePullThroughCacheRules", "{\"ecrRepositoryPrefixes\":[\"q/\",\"none\"]}",
           "PullThroughCacheRuleNotFoundException");
    /* Not built, and said so by the one that made it, too. */
    expect(&d, "UpdatePullThroughCacheRule",
           "{\"ecrRepositoryPrefix\":\"q/\",\"customRoleArn\":\"arn:aws:iam::" ACCOUNT ":role/r\",\"credentialArn\":"
           "\"arn:aws:secretsmanager:" REGION ":" ACCOUNT ":secret:ecr-pullthroughcache/q\"}",
           "UnsupportedFeatureException");
}

static void
tag(struct door *d, const char *letter, size_t key_len, size_t value_len, const char *code)
{
    cleanup(strbuf_done) struct strbuf body = {0};

    strbuf_add_cstr(&body, "{\"resourceArn\":\"arn:aws:ecr:" REGION ":" ACCOUNT ":repository/team/web\",\"tags\":[{\"Key\":\"");
    for (size_t i = 0; i < key_len; i++)
        strbuf_add_cstr(&body, letter);
    strbuf_add_cstr(&body, "\",\"Value\":\"");
    for (size_t i = 0; i < value_len; i++)
        strbuf_add_cstr(&body, letter);
    strbuf_add_cstr(&body, "\"}]}");
    expect(d, "TagResource", strbuf_cstr(&body), code);
}

TEST(tags_are_as_long_as_they_have_characters)
{
    DOOR(d);

    for (size_t i = 0; i < 2; i++) {
        static const char *const letters[] = {"a", "한"};
        tag(&d, letters[i], 128, 256, "");
        tag(&d, letters[i], 129, 0, "InvalidTagParameterException");
        tag(&d, letters[i], 1, 257, "InvalidTagParameterException");
    }
    tag(&d, "aws:", 1, 0, "InvalidTagParameterException");
    tag(&d, "AWS:", 1, 0, "InvalidTagParameterException");
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

/* ---- below /naru/ ---- */

struct naru_door {
    struct door d;
    char *keys_path, *audit_path;
    struct access_keys *keys;
    struct audit *audit;
    struct api *api;
    struct registry_admin admin;
    struct http_server *server;
};

static void
naru_door_new(struct naru_door *n)
{
    struct err err = {0};

    door_new(&n->d);
    n->keys_path = text_format("%s/keys.json", n->d.dir);
    n->audit_path = text_format("%s/audit.log", n->d.dir);
    n->keys = access_keys_new(n->keys_path, KEY, SECRET);
    n->audit = audit_open(n->audit_path, &err);
    CHECK(n->audit != NULL);
    struct api_config config = *api_get_config(n->d.api);
    config.keys = n->keys;
    config.audit = n->audit;
    n->api = api_new(&config);
    n->admin = (struct registry_admin){n->api, n->d.registry};
    const struct http_route route = registry_admin_route(&n->admin);
    n->server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    CHECK(n->server != NULL);
}

static void
naru_door_end(struct naru_door *n)
{
    http_server_stop(n->server);
    api_free(n->api);
    audit_close(n->audit);
    access_keys_free(n->keys);
    free(n->keys_path);
    free(n->audit_path);
    door_end(&n->d);
}

static struct access_key
key_of(const struct naru_door *n, const char *role)
{
    struct access_key key = {0};
    struct err err = {0};

    text_copy_all(key.name, sizeof(key.name), role);
    text_copy_all(key.role, sizeof(key.role), role);
    CHECK(access_keys_create(n->keys_path, &key, clock_wall_ms(), &err));
    return key;
}

/* The status of a signed request of a path below /naru/. */
static int
ask_path(const struct naru_door *n, const struct access_key *key, const char *method, const char *path, const char *body)
{
    cleanup(strbuf_done) struct strbuf authorization = {0};
    cleanup_free char *host = text_format("127.0.0.1:%u", http_server_port(n->server));
    cleanup_free char *url = text_format("http://%s%s", host, path);
    struct http_answer answer = {0};
    struct err err = {0};
    char stamp[24];

    clock_format_basic(clock_wall_ms(), stamp);
    const bool has_token = key->token[0] != '\0';
    const struct sigv4_header signed_headers[] = {
        {STR("Host"), str_of(host)}, {STR("X-Amz-Date"), str_of(stamp)}, {STR("X-Amz-Security-Token"), str_of(key->token)}};
    const struct sigv4_request http = {.method = str_of(method),
                                       .path = str_of(path),
                                       .headers = signed_headers,
                                       .header_count = has_token ? 3 : 2,
                                       .body = str_of(body)};
    sigv4_sign(&http, key->id, key->secret, REGION, "naru", stamp,
               has_token ? "host;x-amz-date;x-amz-security-token" : "host;x-amz-date", &authorization);
    cleanup_free char *date = text_format("X-Amz-Date: %s", stamp);
    cleanup_free char *who = text_format("Authorization: %s", strbuf_cstr(&authorization));
    cleanup_free char *token = text_format("X-Amz-Security-Token: %s", key->token);
    const char *headers[] = {date, who, has_token ? token : NULL, NULL};
    const struct http_call call = {.method = method, .url = url, .headers = headers,
                                   .body = body[0] != '\0' ? str_of(body) : (struct str){0}};
    struct http_client *client = http_client_new();
    CHECK(http_client_call(client, &call, &answer, &err));
    http_client_free(client);
    const int status = answer.status;
    http_answer_done(&answer);
    return status;
}

static int
ask_collector(const struct naru_door *n, const struct access_key *key, const char *method, const char *body)
{
    return ask_path(n, key, method, "/naru/registry/gc", body);
}

static bool
log_has(const struct naru_door *n, const char *line)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err = {0};

    CHECK(file_read(n->audit_path, 1 << 20, &text, &err));
    return str_find(strbuf_str(&text), str_of(line)) >= 0;
}

/* One call as a key or a session: of ECR by target, of STS by form. The answer's body is in `out`. */
static int
call_as(const struct naru_door *n, const struct access_key *key, const char *target, const char *body, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf authorization = {0};
    struct api_answer answer = {0};
    const bool is_sts = target == NULL, has_token = key->token[0] != '\0';
    struct sigv4_header headers[6];
    size_t count = 0;
    char stamp[24];

    clock_format_basic(clock_wall_ms(), stamp);
    headers[count++] = (struct sigv4_header){STR("Host"), STR("localhost:4566")};
    headers[count++] = (struct sigv4_header){STR("X-Amz-Date"), str_of(stamp)};
    headers[count++] = (struct sigv4_header){STR("Content-Type"), STR("application/x-www-form-urlencoded")};
    if (has_token)
        headers[count++] = (struct sigv4_header){STR("X-Amz-Security-Token"), str_of(key->token)};
    cleanup_free char *whole = text_format("AmazonEC2ContainerRegistry_V20150921.%s", is_sts ? "" : target);
    if (!is_sts)
        headers[count++] = (struct sigv4_header){STR("X-Amz-Target"), str_of(whole)};
    struct api_request http = {.signed_part = {.method = STR("POST"), .path = STR("/"), .headers = headers,
                                               .header_count = count, .body = str_of(body)},
                               .request_id = "00000000-0000-4000-8000-000000000000"};
    cleanup_free char *names = text_format("host;x-amz-date%s%s", has_token ? ";x-amz-security-token" : "",
                                           is_sts ? "" : ";x-amz-target");
    sigv4_sign(&http.signed_part, key->id, key->secret, REGION, is_sts ? "sts" : "ecr", stamp, names, &authorization);
    headers[count] = (struct sigv4_header){STR("Authorization"), strbuf_str(&authorization)};
    http.signed_part.header_count++;
    api_call(n->api, &http, &answer);
    strbuf_clear(out);
    strbuf_add(out, strbuf_str(&answer.body));
    strbuf_done(&answer.body);
    return answer.status;
}

static void
take_element(const struct strbuf *xml, const char *name, char *out, size_t size)
{
    cleanup_free char *begin = text_format("<%s>", name);
    const ptrdiff_t at = str_find(strbuf_str(xml), str_of(begin));

    CHECK(at >= 0);
    struct str rest = str_slice(strbuf_str(xml), (size_t)at + strlen(begin), xml->len), text;
    CHECK(str_split(&rest, '<', &text) && text_copy(out, size, text));
}

static struct access_key
session_of(const struct strbuf *xml)
{
    struct access_key s = {0};

    take_element(xml, "AccessKeyId", s.id, sizeof(s.id));
    take_element(xml, "SecretAccessKey", s.secret, sizeof(s.secret));
    take_element(xml, "SessionToken", s.token, sizeof(s.token));
    return s;
}

#define ASSUME "Version=2011-06-15&Action=AssumeRole&RoleSessionName=me&RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fship"

static bool
says(const struct strbuf *body, const char *text)
{
    return str_find(strbuf_str(body), str_of(text)) >= 0;
}

TEST(a_role_that_is_set_gives_credentials_that_are_good_for_what_it_stands_for)
{
    cleanup(naru_door_end) struct naru_door n;
    cleanup(strbuf_done) struct strbuf body = {0};
    struct err err = {0};

    http_client_init();
    naru_door_new(&n);
    cleanup_free char *roles = text_format("%s/roles.json", n.d.dir);
    const struct access_key ci = key_of(&n, "deploy");
    CHECK_EQ(call_as(&n, &ci, NULL, ASSUME, &body), 403);
    CHECK(says(&body, "<Code>AccessDenied</Code>") && says(&body, "naru roles set ship --role ROLE"));
    CHECK(log_has(&n, "action=sts:AssumeRole role=\"arn:aws:iam::000000000000:role/ship\" session=\"me\" "
                      "outcome=AccessDeniedException"));
    const struct role_map map = {.name = "ship", .role = "read-only", .repositories = "team/*"};
    CHECK(role_map_set(roles, &map, 0, &err));
    CHECK_EQ(call_as(&n, &ci, NULL, ASSUME, &body), 200);
    CHECK(says(&body, "<Arn>arn:aws:sts::000000000000:assumed-role/ship/me</Arn>"));
    CHECK(log_has(&n, "role/ship\" session=\"me\" outcome=ok"));
    struct access_key s = session_of(&body);
    CHECK_EQ(call_as(&n, &s, NULL, "Version=2011-06-15&Action=GetCallerIdentity", &body), 200);
    CHECK(says(&body, "<Arn>arn:aws:sts::000000000000:assumed-role/ship/me</Arn>") && says(&body, "<UserId>AROA"));
    CHECK_EQ(call_as(&n, &s, "ListImages", "{\"repositoryName\":\"team/web\"}", &body), 200);
    CHECK_EQ(call_as(&n, &s, "CreateRepository", "{\"repositoryName\":\"team/new\"}", &body), 400);
    CHECK(says(&body, "AccessDeniedException") && says(&body, "assumed-role/ship/me is not authorized"));
    CHECK_EQ(call_as(&n, &ci, "CreateRepository", "{\"repositoryName\":\"other\"}", &body), 200);
    CHECK_EQ(call_as(&n, &s, "ListImages", "{\"repositoryName\":\"other\"}", &body), 400);
    CHECK(says(&body, "AccessDeniedException"));
    CHECK_EQ(ask_collector(&n, &s, "POST", "{}"), 403);
    CHECK(log_has(&n, "who=ship/me assumed_by=deploy key=ASIA") && log_has(&n, "path=\"/naru/registry/gc\" outcome=AccessDeniedException"));
    s.token[0] ^= 1;
    CHECK_EQ(call_as(&n, &s, "ListImages", "{\"repositoryName\":\"team/web\"}", &body), 400);
    CHECK(says(&body, "UnrecognizedClientException"));
    s.token[0] = '\0'; /* not sent at all */
    CHECK_EQ(call_as(&n, &s, "ListImages", "{\"repositoryName\":\"team/web\"}", &body), 400);
    CHECK(says(&body, "UnrecognizedClientException"));
}

TEST(what_sts_does_not_build_it_names_and_what_is_over_it_says)
{
    cleanup(naru_door_end) struct naru_door n;
    cleanup(strbuf_done) struct strbuf body = {0};
    struct err err = {0};
    const struct session_wish old = {.seconds = 900};
    struct access_key s;

    http_client_init();
    naru_door_new(&n);
    cleanup_free char *roles = text_format("%s/roles.json", n.d.dir);
    const struct access_key ci = key_of(&n, "deploy"), root = {.id = KEY, .secret = SECRET};
    const struct role_map map = {.name = "ship", .role = "push"};
    CHECK(role_map_set(roles, &map, 0, &err));
    CHECK_EQ(call_as(&n, &ci, NULL, ASSUME "&Policy=%7B%7D", &body), 400);
    CHECK(says(&body, "Policy of AssumeRole is not built in naru."));
    CHECK_EQ(call_as(&n, &ci, NULL, ASSUME "&DurationSeconds=899", &body), 400);
    CHECK_EQ(call_as(&n, &ci, NULL, ASSUME "&DurationSeconds=43201", &body), 400);
    CHECK(says(&body, "ValidationError"));
    CHECK_EQ(call_as(&n, &ci, NULL, "Version=2011-06-15&Action=GetFederationToken&Name=x", &body), 400);
    CHECK_EQ(call_as(&n, &ci, NULL, "Version=2011-06-15&Action=GetSessionToken", &body), 200);
    s = session_of(&body);
    CHECK_EQ(call_as(&n, &s, NULL, "Version=2011-06-15&Action=GetCallerIdentity", &body), 200);
    CHECK(says(&body, ":user/deploy</Arn>"));
    CHECK_EQ(call_as(&n, &s, NULL, "Version=2011-06-15&Action=GetSessionToken", &body), 403);
    CHECK_EQ(call_as(&n, &s, NULL, ASSUME, &body), 200);
    CHECK_EQ(call_as(&n, &root, NULL, "Version=2011-06-15&Action=GetSessionToken&DurationSeconds=129600", &body), 200);
    s = session_of(&body);
    struct access_key found;
    CHECK(access_keys_find(n.keys, str_of(s.id), &found) && found.until_ms <= clock_wall_ms() + 3600 * 1000);
    CHECK_EQ(call_as(&n, &s, "CreateRepository", "{\"repositoryName\":\"other\"}", &body), 200);
    CHECK_EQ(call_as(&n, &s, "GetAuthorizationToken", "{}", &body), 200);
    cleanup_json struct json *answer = json_parse(strbuf_str(&body), &err);
    CHECK(json_f64(json_get(json_at(json_get(answer, "authorizationData"), 0), "expiresAt"), 1e12) <=
          (double)found.until_ms / 1000 + 1);
    CHECK(access_keys_begin_session(n.keys, &ci, &old, "000000000000", clock_wall_ms() - 901000, &s, &err));
    CHECK_EQ(call_as(&n, &s, "ListImages", "{\"repositoryName\":\"team/web\"}", &body), 400);
    CHECK(says(&body, "ExpiredTokenException") && says(&body, "is expired"));
}

TEST(calls_below_naru_are_in_the_log)
{
    cleanup(naru_door_end) struct naru_door n;

    http_client_init();
    naru_door_new(&n);
    const struct access_key looks = key_of(&n, "read-only"), deploys = key_of(&n, "deploy");
    CHECK_EQ(ask_collector(&n, &deploys, "GET", ""), 405);
    CHECK(!log_has(&n, "at=api.call")); /* who looks is not written down */
    CHECK_EQ(ask_collector(&n, &deploys, "POST", "{}"), 200);
    CHECK(log_has(&n, "action=naru:POST path=\"/naru/registry/gc\" outcome=allowed"));
    CHECK(!log_has(&n, "who=read-only"));
    CHECK_EQ(ask_collector(&n, &looks, "POST", "{}"), 403);
    CHECK(log_has(&n, "who=read-only"));
    CHECK(log_has(&n, "action=naru:POST path=\"/naru/registry/gc\" outcome=AccessDeniedException"));
}

TEST(who_deletes_no_images_does_not_by_a_lifecycle_policy)
{
    cleanup(naru_door_end) struct naru_door n;

    http_client_init();
    naru_door_new(&n);
    const struct access_key deploys = key_of(&n, "deploy"), may_all = key_of(&n, "admin");
    CHECK_EQ(ask_collector(&n, &deploys, "POST", "{\"lifecycle\":true}"), 403);
    CHECK(log_has(&n, "action=ecr:BatchDeleteImage outcome=AccessDeniedException"));
    CHECK_EQ(ask_collector(&n, &deploys, "POST", "{}"), 200);
    CHECK_EQ(ask_collector(&n, &may_all, "POST", "{\"lifecycle\":true}"), 200);
}

TEST(who_is_held_to_some_repositories_collects_no_garbage)
{
    cleanup(naru_door_end) struct naru_door n;
    struct access_key key = {.name = "some", .role = "admin", .repositories = "team/*"};
    struct err err = {0};

    http_client_init();
    naru_door_new(&n);
    CHECK(access_keys_create(n.keys_path, &key, clock_wall_ms(), &err));
    CHECK_EQ(ask_collector(&n, &key, "POST", "{}"), 403);
    CHECK_EQ(ask_collector(&n, &key, "POST", "{\"dryRun\":true}"), 403);
    CHECK(log_has(&n, "who=some"));
    CHECK(log_has(&n, "path=\"/naru/registry/gc\" outcome=AccessDeniedException"));
}

TEST(a_repositorys_quota_is_the_owners_to_set)
{
    static const char path[] = "/naru/registry/quota", body[] = "{\"repositoryName\":\"team/web\",\"quotaBytes\":1000}";
    cleanup(naru_door_end) struct naru_door n;

    naru_door_new(&n);
    const struct access_key admin = key_of(&n, "admin"), deploy = key_of(&n, "deploy");
    struct registry_quota quota = {0};
    struct err err = {0};

    CHECK_EQ(ask_path(&n, &deploy, "POST", path, body), 403);
    CHECK(log_has(&n, "action=ecr:PutRepositoryQuota") && log_has(&n, "outcome=AccessDeniedException"));
    CHECK_EQ(ask_path(&n, &admin, "POST", path, "{\"repositoryName\":\"team/none\",\"quotaBytes\":1}"), 400);
    CHECK_EQ(ask_path(&n, &admin, "POST", path, "{\"repositoryName\":\"team/web\"}"), 400);
    CHECK_EQ(ask_path(&n, &admin, "POST", path, "no JSON"), 400);
    CHECK_EQ(ask_path(&n, &admin, "DELETE", path, ""), 405);
    CHECK_EQ(ask_path(&n, &admin, "POST", path, body), 200);
    CHECK(registry_quota_get(n.d.registry, REGION, "team/web", &quota, &err));
    CHECK_EQ(quota.limit, 1000);
    CHECK_EQ(ask_path(&n, &deploy, "GET", path, ""), 200);
    CHECK_EQ(ask_path(&n, &(const struct access_key){.id = "AKIANOBODY", .secret = "x"}, "GET", path, ""), 403);
}
