/* SPDX-License-Identifier: MIT */
/* What changed from one revision to another: task definitions, member by member, and digests. */
#include "cli/explain_parts.h"
#include "cli/follow.h"

#define CHANGES_MAX 50

static void
add_change(struct json *changes, const char *member, const struct json *before,
           const struct json *now)
{
    struct json *o;

    if (json_size(changes) == CHANGES_MAX)
        return;
    o = json_object();
    json_set(o, "member", json_text(member));
    if (before != NULL)
        json_set(o, "before", json_ref(before));
    if (now != NULL)
        json_set(o, "now", json_ref(now));
    json_append(changes, o);
}

static void
compare(struct json *changes, const char *path, const struct json *before, const struct json *now)
{
    const bool is_list = json_type(before) == JSON_ARRAY && json_type(now) == JSON_ARRAY;

    if (json_equal(before, now))
        return;
    if (is_list && json_size(before) == json_size(now) &&
        json_type(json_at(before, 0)) == JSON_OBJECT) {
        for (size_t i = 0; i < json_size(now); i++) {
            const char *name = json_get_cstr(json_at(now, i), "name", NULL);
            cleanup_free char *item =
                name != NULL ? text_format("%s.%s", path, name) : text_format("%s.%zu", path, i);
            compare(changes, item, json_at(before, i), json_at(now, i));
        }
    } else if (json_type(before) == JSON_OBJECT && json_type(now) == JSON_OBJECT) {
        for (void *it = json_first(now); it != NULL; it = json_next(now, it)) {
            cleanup_free char *member = text_format("%s.%s", path, json_key(it));
            compare(changes, member, json_get(before, json_key(it)), json_value(it));
        }
        for (void *it = json_first(before); it != NULL; it = json_next(before, it)) {
            cleanup_free char *member = text_format("%s.%s", path, json_key(it));
            if (json_get(now, json_key(it)) == NULL)
                add_change(changes, member, json_value(it), NULL);
        }
    } else {
        add_change(changes, path, before, now);
    }
}

/* What RegisterTaskDefinition takes; times and numbers always differ. */
static void
compare_definitions(struct client *client, struct json *changes, const char *before_arn,
                    const char *now_arn)
{
    const struct shape *shape =
        operation_named(service_find("ecs"), "RegisterTaskDefinition")->input;
    cleanup_json struct json *before = NULL, *now = NULL;

    if (strcmp(before_arn, now_arn) == 0)
        return;
    before = task_definition_describe(client, before_arn, NULL); /* may be deleted meanwhile */
    now = task_definition_describe(client, now_arn, NULL);
    if (before == NULL || now == NULL)
        return;
    for (int i = 0; i < shape->member_count; i++) {
        const char *name = shape->members[i].name;
        compare(changes, name, json_get(json_get(before, "taskDefinition"), name),
                json_get(json_get(now, "taskDefinition"), name));
    }
}

static struct json *
images_of(struct client *client, const char *revision_arn)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *arns = json_array(), *images = json_object();
    const struct json *list;

    json_append(arns, json_text(revision_arn));
    json_set(input, "serviceRevisionArns", arns);
    answer = client_call(client, "ecs", "DescribeServiceRevisions", input, NULL);
    list = json_get(json_at(json_get(answer, "serviceRevisions"), 0), "containerImages");
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *digest = json_get(json_at(list, i), "imageDigest");
        if (digest != NULL)
            json_set(images, json_get_cstr(json_at(list, i), "containerName", ""),
                     json_ref(digest));
    }
    return images;
}

struct json *
explain_changes(struct client *client, const struct explain_versions *v)
{
    struct json *changes = json_array();
    cleanup_json struct json *old_images = images_of(client, v->revision_before);
    cleanup_json struct json *images = images_of(client, v->revision);

    compare_definitions(client, changes, v->definition_before, v->definition);
    if (json_size(images) > 0) /* else it ended before its tags were looked up */
        compare(changes, "digest", old_images, images);
    return changes;
}

void
explain_print_changes(const struct json *changes, const char *since)
{
    printf("Changed since %s, which was complete%s\n", since,
           json_size(changes) == 0 ? ": nothing" : ":");
    for (size_t i = 0; i < json_size(changes); i++) {
        const struct json *c = json_at(changes, i);
        cleanup_free char *before = json_get(c, "before") == NULL
                                        ? text_dup("(absent)")
                                        : json_format(json_get(c, "before"));
        cleanup_free char *now =
            json_get(c, "now") == NULL ? text_dup("(absent)") : json_format(json_get(c, "now"));
        printf("  %s: %s -> %s\n", json_get_cstr(c, "member", ""), before, now);
    }
}
