/* SPDX-License-Identifier: MIT */
#include "api/ecs_describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "model/arn.h"

#define TAGS_MAX 50
#define TOKEN_HEAD "naru1"

/* ---- finding ---- */

/* An ARN of another region names something that this one does not know. */
struct cluster *
ecs_cluster_named(const struct request *rq, const char *name_or_arn)
{
    struct cluster *cluster = core_cluster(rq->core, rq->region, str_of(name_or_arn));

    return cluster != NULL && strcmp(cluster->region, rq->region) == 0 ? cluster : NULL;
}

/* An ARN may leave the revision out, as a family does: the newest ACTIVE one. */
struct task_definition *
ecs_definition_named(const struct request *rq, const char *name_or_arn)
{
    struct str name = str_of(name_or_arn);
    struct arn arn;
    struct task_definition *td;

    if (arn_parse(name, &arn) && str_is(arn.region, rq->region) && str_is(arn.account, rq->account) &&
        str_starts(arn.resource, STR("task-definition/")) && str_index(arn.resource, ':') < 0)
        name = arn_last(name);
    td = core_task_definition(rq->core, rq->region, name);

    return td != NULL && strcmp(td->region, rq->region) == 0 ? td : NULL;
}

struct cluster *
ecs_find_cluster(const struct request *rq, struct err *err)
{
    struct cluster *cluster =
        ecs_cluster_named(rq, json_get_cstr(rq->input, "cluster", "default"));

    if (cluster != NULL && cluster->status == CLUSTER_ACTIVE)
        return cluster;
    err_set(err, ERR_CLUSTER_NOT_FOUND, "Cluster not found.");
    return NULL;
}

/* An ARN of the form kind/CLUSTER/... has to be of this cluster; short names always are. */
bool
ecs_check_owner(const struct cluster *cluster, const char *name_or_arn, struct err *err)
{
    struct arn arn;
    struct str rest, kind, owner;

    if (!arn_parse(str_of(name_or_arn), &arn))
        return true;
    rest = arn.resource;
    if (!str_split(&rest, '/', &kind) || !str_split(&rest, '/', &owner) || rest.at == NULL ||
        str_is(owner, cluster->name))
        return true;
    return err_set(err, ERR_INVALID_PARAMETER, "Identifier is for cluster " STR_FMT ". Your cluster is %s",
                   STR_ARG(str_slice(owner, 0, 255)), cluster->name);
}

bool
ecs_check_owners(const struct request *rq, const struct cluster *cluster, const char *member,
                 struct err *err)
{
    const struct json *list = json_get(rq->input, member);

    for (size_t i = 0; i < json_size(list); i++) {
        if (!ecs_check_owner(cluster, json_cstr(json_at(list, i), ""), err))
            return false;
    }
    return true;
}

struct service *
ecs_find_service(const struct request *rq, const struct cluster *cluster, const char *name_or_arn,
                 struct err *err)
{
    struct service *service;

    if (!ecs_check_owner(cluster, name_or_arn, err))
        return NULL;
    service = core_service(rq->core, cluster, str_of(name_or_arn));
    if (service == NULL)
        err_set(err, ERR_SERVICE_NOT_FOUND, "Service not found.");
    return service;
}

struct task_definition *
ecs_find_usable_definition(const struct request *rq, const char *name, struct err *err)
{
    struct task_definition *td = ecs_definition_named(rq, name);

    if (td == NULL) {
        err_set(err, ERR_CLIENT, "TaskDefinition not found.");
        return NULL;
    }
    if (td->status != TASK_DEFINITION_ACTIVE) {
        err_set(err, ERR_CLIENT, "TaskDefinition is inactive");
        return NULL;
    }
    return td;
}

bool
ecs_includes(const struct request *rq, const char *field)
{
    return json_has_text(json_get(rq->input, "include"), field);
}

bool
ecs_check_list(const struct request *rq, const char *member, size_t max, const char *empty_text,
               struct err *err)
{
    const struct json *list = json_get(rq->input, member);

    if (json_size(list) == 0)
        return err_set(err, ERR_INVALID_PARAMETER, "%s", empty_text);
    if (json_size(list) > max)
        return err_set(err, ERR_INVALID_PARAMETER, "%s can have at most %zu items.", member, max);
    for (size_t i = 0; i < json_size(list); i++) {
        const char *name = json_cstr(json_at(list, i), "");
        if (name[0] == '\0' || strlen(name) >= ARN_SIZE)
            return err_set(err, ERR_INVALID_PARAMETER, "Invalid identifier: %.100s", name);
    }
    return true;
}

/* ---- tags ---- */

bool
ecs_check_tags(const struct json *tags, struct err *err)
{
    if (json_size(tags) > TAGS_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "A resource can have at most %d tags.", TAGS_MAX);
    for (size_t i = 0; i < json_size(tags); i++) {
        const char *key = json_get_cstr(json_at(tags, i), "key", NULL);

        if (key == NULL || key[0] == '\0')
            return err_set(err, ERR_INVALID_PARAMETER, "Tag keys must not be null or empty.");
        if (strncasecmp(key, "aws:", 4) == 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "Tag keys must not start with 'aws:', which is reserved: %.128s", key);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(key, json_get_cstr(json_at(tags, j), "key", "")) == 0)
                return err_set(err, ERR_INVALID_PARAMETER, "Duplicate tag key: %.128s", key);
        }
    }
    return true;
}

struct json *
ecs_merge_tags(const struct json *old, const struct json *added)
{
    struct json *merged = json_array();

    for (size_t i = 0; i < json_size(old); i++) {
        const struct json *tag = json_at(old, i);
        const struct json *newer = json_find(added, "key", json_get_cstr(tag, "key", ""));
        json_append(merged, json_ref(newer != NULL ? newer : tag));
    }
    for (size_t i = 0; i < json_size(added); i++) {
        const struct json *tag = json_at(added, i);
        if (json_find(old, "key", json_get_cstr(tag, "key", "")) == NULL)
            json_append(merged, json_ref(tag));
    }
    return merged;
}

struct json *
ecs_tags_or_empty(const struct json *tags)
{
    return json_type(tags) == JSON_ARRAY ? json_ref(tags) : json_array();
}

/* ---- pages ---- */

void
ecs_page_add(struct ecs_page *page, struct json *value, const char *format, ...)
{
    char key[ARN_SIZE + 64];
    va_list args;

    va_start(args, format);
    vsnprintf(key, sizeof(key), format, args);
    va_end(args);
    if (page->count == page->capacity) {
        page->capacity = page->capacity == 0 ? 64 : page->capacity * 2;
        page->at = mem_grow(page->at, page->capacity, sizeof(*page->at));
    }
    page->at[page->count++] = (struct ecs_page_item){text_dup(key), value};
}

void
ecs_page_done(struct ecs_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        free(page->at[i].key);
        json_unref(page->at[i].value);
    }
    free(page->at);
    *page = (struct ecs_page){0};
}

static int
compare_up(const void *a, const void *b)
{
    return strcmp(((const struct ecs_page_item *)a)->key, ((const struct ecs_page_item *)b)->key);
}

static int
compare_down(const void *a, const void *b)
{
    return compare_up(b, a);
}

/* "naru1 ListTasks <key>" in base64: a token of one operation is not taken by another. */
static bool
token_read(const struct request *rq, struct strbuf *key, struct err *err)
{
    const char *token = json_get_cstr(rq->input, "nextToken", NULL);
    cleanup(strbuf_done) struct strbuf plain = {0}, head = {0};

    if (token == NULL)
        return true;
    strbuf_addf(&head, TOKEN_HEAD " %s ", rq->operation);
    if (!base64_decode(&plain, str_of(token)) || !str_starts(strbuf_str(&plain), strbuf_str(&head)) ||
        memchr(plain.at, '\0', plain.len) != NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "Invalid token.");
    strbuf_add(key, str_slice(strbuf_str(&plain), head.len, plain.len));
    return true;
}

static struct json *
token_write(const struct request *rq, const char *key)
{
    cleanup(strbuf_done) struct strbuf plain = {0}, token = {0};

    strbuf_addf(&plain, TOKEN_HEAD " %s %s", rq->operation, key);
    base64_encode(&token, strbuf_str(&plain));
    return json_text(strbuf_cstr(&token));
}

bool
ecs_page_write(struct ecs_page *page, const struct request *rq, const char *member,
               size_t default_size, bool descending, struct json *out, struct err *err)
{
    const size_t size = (size_t)json_get_i64(rq->input, "maxResults", (int64_t)default_size);
    cleanup(strbuf_done) struct strbuf after = {0};
    struct json *list;
    size_t from = 0, i;

    if (!token_read(rq, &after, err))
        return false;
    if (page->count > 1)
        qsort(page->at, page->count, sizeof(*page->at), descending ? compare_down : compare_up);
    if (after.len > 0) {
        while (from < page->count) {
            const int order = strcmp(page->at[from].key, strbuf_cstr(&after));
            if (descending ? order < 0 : order > 0)
                break;
            from++;
        }
    }
    list = json_array();
    for (i = from; i < page->count && i < from + size; i++)
        json_append(list, json_ref(page->at[i].value));
    json_set(out, member, list);
    if (i < page->count && i > from)
        json_set(out, "nextToken", token_write(rq, page->at[i - 1].key));
    return true;
}
