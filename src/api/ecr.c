/* SPDX-License-Identifier: MIT */
/* ecr.c - repositories, their tags, and the password for docker login. */
#include "api/ecr.h"

#include "base/crypto.h"
#include "io/access_keys.h"
#include "model/arn.h"
#include "registry/registry.h"

#define PAGE_DEFAULT 100
#define TOKEN_MARK "ecr1:"

struct registry *
ecr_registry(const struct request *rq)
{
    return api_get_config(rq->api)->registry;
}

static bool
registry_id_check(struct request *rq, const char *repository, struct err *err)
{
    const char *id = json_get_cstr(rq->input, "registryId", rq->account);

    if (strcmp(id, rq->account) == 0)
        return true;
    if (repository == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid parameter at 'registryId': this is the registry with id '%s'",
                       rq->account);
    return err_set(err, ERR_REPOSITORY_NOT_FOUND,
                   "The repository with name '%s' does not exist in the registry with id '%s'",
                   repository, id);
}

bool
ecr_registry_id_check(struct request *rq, struct err *err)
{
    return registry_id_check(rq, /* repository= */ NULL, err);
}

const char *
ecr_repository_name(struct request *rq, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "repositoryName", "");
    return registry_id_check(rq, name, err) ? name : NULL;
}

/* ---- pages ---- */

void
ecr_page_add(struct ecr_page *page, const char *key, struct json *value)
{
    struct json *item = json_object();

    if (page->items == NULL)
        page->items = json_array();
    json_set(item, "key", json_text(key));
    json_set(item, "value", value);
    json_append(page->items, item);
}

static int
compare_items(const void *a, const void *b)
{
    return strcmp(json_get_cstr(*(struct json *const *)a, "key", ""),
                  json_get_cstr(*(struct json *const *)b, "key", ""));
}

/* The token is the last key that was told, so what comes or goes meanwhile neither hides nor repeats anything else. */
bool
ecr_page_start(struct request *rq, struct strbuf *start_out, struct err *err)
{
    const char *token = json_get_cstr(rq->input, "nextToken", NULL);
    cleanup(strbuf_done) struct strbuf key = {0};

    if (token == NULL)
        return true;
    if (!base64_decode(&key, str_of(token)) || !str_starts(strbuf_str(&key), STR(TOKEN_MARK)) ||
        memchr(key.at, '\0', key.len) != NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "Invalid parameter at 'nextToken': it is none that was given out");
    strbuf_add(start_out, str_slice(strbuf_str(&key), strlen(TOKEN_MARK), key.len));
    return true;
}

int64_t
ecr_page_limit(const struct request *rq, const struct ecr_page *page)
{
    return json_get_i64(rq->input, "maxResults", page->size_default ? page->size_default : PAGE_DEFAULT);
}

bool
ecr_page_write(struct request *rq, struct ecr_page *page, struct json *out, struct err *err)
{
    cleanup_json struct json *items = page->items ? TAKE(page->items) : json_array();
    cleanup(strbuf_done) struct strbuf start = {0};
    const int64_t limit = ecr_page_limit(rq, page);
    const size_t count = json_size(items);
    cleanup_json struct json *list = json_array();
    cleanup(strbuf_done) struct strbuf next = {0};

    if (!ecr_page_start(rq, &start, err))
        return false;
    const char *last = strbuf_cstr(&start);
    cleanup_free struct json **sorted = mem_new((count + 1) * sizeof(struct json *));
    for (size_t i = 0; i < count; i++)
        sorted[i] = json_at(items, i);
    qsort(sorted, count, sizeof *sorted, compare_items);
    for (size_t i = 0; i < count; i++) {
        const char *key = json_get_cstr(sorted[i], "key", "");
        if (strcmp(key, last) <= 0)
            continue;
        if ((int64_t)json_size(list) == limit) {
            cleanup_free char *text = text_format(TOKEN_MARK "%s", last);
            base64_encode(&next, str_of(text));
            break;
        }
        json_append(list, json_ref(json_get(sorted[i], "value")));
        last = key;
    }
    json_set(out, page->member, TAKE(list));
    if (next.len > 0)
        json_set(out, "nextToken", json_text(strbuf_cstr(&next)));
    return true;
}

/* ---- repositories ---- */

static struct json *
repository_json(struct request *rq, const struct registry_repository *r)
{
    struct json *j = json_object(), *scanning = json_object();
    char arn[ARN_SIZE], uri[REGISTRY_IMAGE_SIZE];

    arn_format(arn, "ecr", rq->region, rq->account, "repository/%s", r->name);
    registry_repository_uri(ecr_registry(rq), rq->region, r->name, uri);
    json_set(scanning, "scanOnPush", json_bool(json_get_bool(r->document, "scanOnPush", false)));
    json_set(j, "repositoryArn", json_text(arn));
    json_set(j, "registryId", json_text(rq->account));
    json_set(j, "repositoryName", json_text(r->name));
    json_set(j, "repositoryUri", json_text(uri));
    json_set(j, "createdAt", aws_time(rq, r->created_ms));
    ecr_mutability_tell(j, r->document);
    json_set(j, "imageScanningConfiguration", scanning);
    ecr_encryption_tell(j);
    return j;
}

/* ---- tags of a repository ---- */

static bool
tags_add(void *arg, struct json *document, struct err *err)
{
    struct json *merged;

    if (!ecr_tags_merge(json_get(document, "tags"), arg, &merged, err))
        return false;
    json_set(document, "tags", merged);
    return true;
}

static bool
tags_remove(void *arg, struct json *document, struct err *err)
{
    const struct json *keys = arg, *now = json_get(document, "tags");
    struct json *left = json_array();

    (void)err;
    for (size_t i = 0; i < json_size(now); i++)
        if (!json_has_text(keys, json_get_cstr(json_at(now, i), "Key", "")))
            json_append(left, json_ref(json_at(now, i)));
    json_set(document, "tags", left);
    return true;
}

/* The repository that "resourceArn" names. */
static bool
resource_name(struct request *rq, char name[static REGISTRY_NAME_SIZE], struct err *err)
{
    const char *text = json_get_cstr(rq->input, "resourceArn", "");
    const struct str kind = STR("repository/");
    struct arn arn;

    if (!arn_parse(str_of(text), &arn) || !str_is(arn.service, "ecr") ||
        !str_starts(arn.resource, kind))
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'");
    struct str found = str_slice(arn.resource, kind.len, arn.resource.len);
    if (!str_is(arn.region, rq->region) || !str_is(arn.account, rq->account) ||
        !text_copy(name, REGISTRY_NAME_SIZE, found))
        return err_set(err, ERR_REPOSITORY_NOT_FOUND,
                       "The repository with name '" STR_FMT
                       "' does not exist in the registry with id '" STR_FMT "'",
                       STR_ARG(str_slice(found, 0, 256)), STR_ARG(str_slice(arn.account, 0, 64)));
    return true;
}

bool
ecr_tag_resource(struct request *rq, struct json *out, struct err *err)
{
    char name[REGISTRY_NAME_SIZE];

    (void)out;
    return resource_name(rq, name, err) &&
           registry_repository_change(ecr_registry(rq), rq->region, name, tags_add,
                                      json_get(rq->input, "tags"), err);
}

bool
ecr_untag_resource(struct request *rq, struct json *out, struct err *err)
{
    char name[REGISTRY_NAME_SIZE];

    (void)out;
    return resource_name(rq, name, err) &&
           registry_repository_change(ecr_registry(rq), rq->region, name, tags_remove,
                                      json_get(rq->input, "tagKeys"), err);
}

bool
ecr_list_tags_for_resource(struct request *rq, struct json *out, struct err *err)
{
    char name[REGISTRY_NAME_SIZE];
    cleanup(registry_repository_done) struct registry_repository r = {0};

    if (!resource_name(rq, name, err) ||
        !registry_repository_get(ecr_registry(rq), rq->region, name, &r, err))
        return false;
    struct json *tags = json_get(r.document, "tags");
    json_set(out, "tags", tags ? json_ref(tags) : json_array());
    return true;
}

/* ---- the operations ---- */

bool
ecr_create_repository(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    const struct json *scanning = json_get(rq->input, "imageScanningConfiguration");
    cleanup_json struct json *document = json_object();
    cleanup(registry_repository_done) struct registry_repository r = {0};
    struct json *tags;

    if (name == NULL || !ecr_mutability_set(document, rq->input, err) ||
        !ecr_encryption_check(json_get(rq->input, "encryptionConfiguration"), err) ||
        !ecr_tags_merge(NULL, json_get(rq->input, "tags"), &tags, err))
        return false;
    json_set(document, "tags", tags);
    json_set(document, "scanOnPush", json_bool(json_get_bool(scanning, "scanOnPush", false)));
    if (!registry_repository_create(ecr_registry(rq), rq->region, name, document, err) ||
        !registry_repository_get(ecr_registry(rq), rq->region, name, &r, err))
        return false;
    json_set(out, "repository", repository_json(rq, &r));
    return true;
}

static bool
describe_some(struct request *rq, const struct json *names, struct json *out, struct err *err)
{
    cleanup_json struct json *list = json_array();

    if (json_get(rq->input, "nextToken") || json_get(rq->input, "maxResults"))
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter: 'maxResults' and 'nextToken' do not go with 'repositoryNames'");
    for (size_t i = 0; i < json_size(names); i++) {
        cleanup(registry_repository_done) struct registry_repository r = {0};
        if (!registry_repository_get(ecr_registry(rq), rq->region, json_cstr(json_at(names, i), ""),
                                     &r, err))
            return false;
        json_append(list, repository_json(rq, &r));
    }
    json_set(out, "repositories", TAKE(list));
    return true;
}

bool
ecr_describe_repositories(struct request *rq, struct json *out, struct err *err)
{
    const struct json *wanted = json_get(rq->input, "repositoryNames");
    cleanup_json struct json *names = NULL;
    struct ecr_page page = {.member = "repositories"};

    if (!registry_id_check(rq, json_cstr(json_at(wanted, 0), NULL), err))
        return false;
    if (wanted != NULL)
        return describe_some(rq, wanted, out, err);
    if (!registry_repository_list(ecr_registry(rq), rq->region, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        cleanup(registry_repository_done) struct registry_repository r = {0};
        if (registry_repository_get(ecr_registry(rq), rq->region, name, &r,
                                    NULL)) /* else: just deleted */
            ecr_page_add(&page, name, repository_json(rq, &r));
    }
    return ecr_page_write(rq, &page, out, err);
}

bool
ecr_delete_repository(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    cleanup(registry_repository_done) struct registry_repository r = {0};

    if (name == NULL || !registry_repository_get(ecr_registry(rq), rq->region, name, &r, err) ||
        !registry_repository_delete(ecr_registry(rq), rq->region, name,
                                    json_get_bool(rq->input, "force", false), err))
        return false;
    json_set(out, "repository", repository_json(rq, &r));
    return true;
}

static bool
mutability_change(void *arg, struct json *document, struct err *err)
{
    return ecr_mutability_set(document, arg, err);
}

bool
ecr_put_image_tag_mutability(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    cleanup_json struct json *input = json_copy(rq->input);

    if (name == NULL || !registry_repository_change(ecr_registry(rq), rq->region, name,
                                                    mutability_change, input, err))
        return false;
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "repositoryName", json_text(name));
    ecr_mutability_tell(out, input);
    return true;
}

bool
ecr_get_authorization_token(struct request *rq, struct json *out, struct err *err)
{
    const struct json *ids = json_get(rq->input, "registryIds");
    cleanup(strbuf_done) struct strbuf pair = {0}, token = {0};
    const int64_t until_ms = rq->now_ms + REGISTRY_TOKEN_LIFE_MS; /* and not after the session that asks */
    struct json *list, *data;

    for (size_t i = 0; i < json_size(ids); i++)
        if (strcmp(json_cstr(json_at(ids, i), ""), rq->account) != 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "Invalid parameter at 'registryIds': this is the registry with id '%s'",
                           rq->account);
    strbuf_add_cstr(&pair, "AWS:");
    registry_token_of(ecr_registry(rq), rq->key->id, rq->now_ms, &pair);
    base64_encode(&token, strbuf_str(&pair));
    data = json_object();
    json_set(data, "authorizationToken", json_text(strbuf_cstr(&token)));
    json_set(data, "expiresAt", aws_time(rq, rq->key->depth > 0 && rq->key->until_ms < until_ms ? rq->key->until_ms : until_ms));
    json_set(data, "proxyEndpoint", json_text(api_get_config(rq->api)->endpoint_url));
    list = json_array();
    json_append(list, data);
    json_set(out, "authorizationData", list);
    return true;
}
