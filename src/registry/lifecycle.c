/* SPDX-License-Identifier: MIT */
#include "registry/lifecycle.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_MS (24LL * 3600 * 1000)
#define STARS_MAX 4 /* of a pattern */

/* ---- reading ---- */

struct reading {
    size_t rule; /* from 1; 0: the document */
    struct err *err;
};

static bool
fail(const struct reading *r, const char *why, const char *what)
{
    char where[32] = "";

    if (r->rule > 0)
        snprintf(where, sizeof where, "rule %zu: ", r->rule);
    return err_set(
        r->err, ERR_INVALID_PARAMETER,
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle "
        "policy validation failure: %s%s%.120s'",
        where, why, what);
}

static bool
members_check(const struct reading *r, const struct json *object, const char *const *known,
              size_t count)
{
    const char *stranger = json_stranger(object, known, count);

    return stranger == NULL || fail(r, "there is no member ", stranger);
}

static int
stars_of(const char *pattern)
{
    int stars = 0;

    for (const char *c = pattern; *c != '\0'; c++)
        stars += *c == '*';
    return stars;
}

static bool
tag_list_read(const struct reading *r, const struct json *list, const char *name, bool has_stars,
              const struct json **out)
{
    if (json_size(list) == 0)
        return true;
    if (json_type(list) != JSON_ARRAY || json_size(list) > LIFECYCLE_TAGS_MAX)
        return fail(r, "this has to be a list of up to 100 texts: ", name);
    for (size_t i = 0; i < json_size(list); i++) {
        const char *tag = json_cstr(json_at(list, i), "");
        if (tag[0] == '\0' || strlen(tag) > 128)
            return fail(r, "a text of 1 to 128 characters is needed in ", name);
        if (has_stars && stars_of(tag) > STARS_MAX)
            return fail(r, "a pattern has at most four wildcards: ", tag);
    }
    *out = list;
    return true;
}

static bool
tags_read(const struct reading *r, const struct json *selection, struct lifecycle_rule *rule)
{
    const char *status = json_get_cstr(selection, "tagStatus", "");

    if (!tag_list_read(r, json_get(selection, "tagPatternList"), "tagPatternList", true,
                       &rule->patterns) ||
        !tag_list_read(r, json_get(selection, "tagPrefixList"), "tagPrefixList", false,
                       &rule->prefixes))
        return false;
    if (strcmp(status, "tagged") == 0) {
        rule->tags = LIFECYCLE_TAGGED;
        return (rule->patterns != NULL) != (rule->prefixes != NULL) ||
               fail(r, "tagStatus 'tagged' needs either tagPatternList or tagPrefixList", "");
    }
    if (strcmp(status, "untagged") != 0 && strcmp(status, "any") != 0)
        return fail(r, "tagStatus has to be tagged, untagged or any, not ", status);
    rule->tags = status[0] == 'u' ? LIFECYCLE_UNTAGGED : LIFECYCLE_ANY;
    return (rule->patterns == NULL && rule->prefixes == NULL) ||
           fail(r, "tagPatternList and tagPrefixList do not go with tagStatus ", status);
}

static bool
count_read(const struct reading *r, const struct json *selection, struct lifecycle_rule *rule)
{
    const char *type = json_get_cstr(selection, "countType", "");
    const char *unit = json_get_cstr(selection, "countUnit", NULL);
    const struct json *number = json_get(selection, "countNumber");

    if (strcmp(type, "imageCountMoreThan") == 0)
        rule->count = LIFECYCLE_MORE_THAN;
    else if (strcmp(type, "sinceImagePushed") == 0)
        rule->count = LIFECYCLE_SINCE_PUSHED;
    else if (strcmp(type, "sinceImagePulled") == 0)
        rule->count = LIFECYCLE_SINCE_PULLED;
    else if (strcmp(type, "sinceImageTransitioned") == 0)
        rule->count = LIFECYCLE_SINCE_TRANSITIONED;
    else
        return fail(r, "there is no countType ", type);
    if (rule->count == LIFECYCLE_MORE_THAN ? json_get(selection, "countUnit") != NULL
                                           : unit == NULL || strcmp(unit, "days") != 0)
        return fail(r, "countUnit is 'days', and only where days are counted, not with ", type);
    rule->number = json_i64(number, 0);
    if (json_type(number) != JSON_INT || rule->number < 1 || rule->number > INT32_MAX)
        return fail(r, "countNumber has to be a number of 1 or more", "");
    return rule->count != LIFECYCLE_SINCE_TRANSITIONED || rule->number >= LIFECYCLE_ARCHIVE_DAYS_MIN ||
           fail(r, "an image stays in the archive for 90 days at least; countNumber is less", "");
}

/* One goes by its time in the archive or is not in it. */
static bool
class_read(const struct reading *r, const struct json *selection, struct lifecycle_rule *rule)
{
    const char *class = json_get_cstr(selection, "storageClass", "standard");
    const char *type = json_get_cstr(selection, "countType", "");

    rule->is_archive = strcmp(class, "archive") == 0;
    if (!rule->is_archive && strcmp(class, "standard") != 0)
        return fail(r, "there is no storageClass ", class);
    return rule->is_archive == (rule->count == LIFECYCLE_SINCE_TRANSITIONED) ||
           fail(r, "storageClass 'archive' goes with sinceImageTransitioned, and 'standard' with the others, not with ", type);
}

static bool
selection_read(const struct reading *r, const struct json *selection, struct lifecycle_rule *rule)
{
    static const char *const known[] = {"tagStatus", "tagPatternList", "tagPrefixList", "countType",
                                        "countUnit", "countNumber",    "storageClass"};

    if (json_type(selection) != JSON_OBJECT)
        return fail(r, "it has no object 'selection'", "");
    if (!members_check(r, selection, known, ARRAY_COUNT(known)))
        return false;
    return tags_read(r, selection, rule) && count_read(r, selection, rule) &&
           class_read(r, selection, rule);
}

static bool
action_read(const struct reading *r, const struct json *action, struct lifecycle_rule *rule)
{
    static const char *const known[] = {"type", "targetStorageClass"};
    const char *type = json_get_cstr(action, "type", "");
    const struct json *target = json_get(action, "targetStorageClass");

    if (!members_check(r, action, known, ARRAY_COUNT(known)))
        return false;
    rule->transitions = strcmp(type, "transition") == 0;
    if (!rule->transitions && strcmp(type, "expire") != 0)
        return fail(r, "there is no action ", type);
    if (!rule->transitions)
        return target == NULL || fail(r, "targetStorageClass does not go with the action expire", "");
    return strcmp(json_cstr(target, ""), "archive") == 0 ||
           fail(r, "the action transition needs the targetStorageClass 'archive'", "");
}

static bool
rule_read(const struct reading *r, const struct json *from, struct lifecycle_rule *rule)
{
    static const char *const known[] = {"rulePriority", "description", "selection", "action"};

    if (json_type(from) != JSON_OBJECT)
        return fail(r, "it is no object", "");
    if (!members_check(r, from, known, ARRAY_COUNT(known)))
        return false;
    rule->priority = json_get_i64(from, "rulePriority", 0);
    if (rule->priority < 1 || rule->priority > INT32_MAX)
        return fail(r, "rulePriority has to be a number of 1 or more", "");
    if (json_get(from, "description") != NULL && json_get_cstr(from, "description", NULL) == NULL)
        return fail(r, "description has to be a text", "");
    if (!action_read(r, json_get(from, "action"), rule) ||
        !selection_read(r, json_get(from, "selection"), rule))
        return false;
    return !(rule->transitions && rule->is_archive) ||
           fail(r, "what is in the archive already cannot go there", "");
}

static bool
shares_a_text(const struct json *a, const struct json *b)
{
    for (size_t i = 0; i < json_size(a); i++)
        if (json_has_text(b, json_cstr(json_at(a, i), "")))
            return true;
    return false;
}

/* Rules beside each other. Those of one storage class never see the images of the other. */
static bool
pair_check(const struct reading *r, const struct lifecycle_rule *a, const struct lifecycle_rule *b)
{
    if (a->priority == b->priority)
        return fail(r, "another rule has that rulePriority, too", "");
    if (a->is_archive != b->is_archive)
        return true;
    if (a->tags == LIFECYCLE_UNTAGGED && b->tags == LIFECYCLE_UNTAGGED)
        return fail(r, "only one rule may select untagged images", "");
    if (a->tags == LIFECYCLE_ANY && b->tags == LIFECYCLE_ANY)
        return fail(r, "only one rule may select any image", "");
    if ((a->tags == LIFECYCLE_ANY && a->priority < b->priority) ||
        (b->tags == LIFECYCLE_ANY && b->priority < a->priority))
        return fail(r, "the rule with tagStatus any has to have the highest rulePriority", "");
    return !(shares_a_text(a->prefixes, b->prefixes) || shares_a_text(a->patterns, b->patterns)) ||
           fail(r, "another rule has one of its tag prefixes or patterns, too", "");
}

static int
by_priority(const void *a, const void *b)
{
    const struct lifecycle_rule *x = a, *y = b;
    return (x->priority > y->priority) - (x->priority < y->priority);
}

static bool
rules_read(struct reading *r, const struct json *rules, struct lifecycle_policy *policy)
{
    if (json_type(rules) != JSON_ARRAY || json_size(rules) == 0 ||
        json_size(rules) > LIFECYCLE_RULES_MAX)
        return fail(r, "it needs a list 'rules' of 1 to 50", "");
    for (size_t i = 0; i < json_size(rules); i++) {
        r->rule = i + 1;
        if (!rule_read(r, json_at(rules, i), &policy->rules[i]))
            return false;
        for (size_t j = 0; j < i; j++)
            if (!pair_check(r, &policy->rules[j], &policy->rules[i]))
                return false;
    }
    policy->rule_count = json_size(rules);
    qsort(policy->rules, policy->rule_count, sizeof *policy->rules, by_priority);
    return true;
}

bool
lifecycle_parse(struct str text, struct lifecycle_policy *out, struct err *err)
{
    static const char *const known[] = {"rules"};
    struct reading r = {.err = err};
    struct err why = {0};

    *out = (struct lifecycle_policy){0};
    if (text.len > LIFECYCLE_TEXT_MAX)
        return fail(&r, "it has more than 30720 bytes", "");
    out->document = json_parse(text, &why);
    if (out->document == NULL)
        return fail(&r, "it is no JSON: ", why.message);
    if (json_type(out->document) == JSON_OBJECT
            ? members_check(&r, out->document, known, ARRAY_COUNT(known)) &&
                  rules_read(&r, json_get(out->document, "rules"), out)
            : fail(&r, "it is no object", ""))
        return true;
    lifecycle_done(out);
    return false;
}

void
lifecycle_done(struct lifecycle_policy *policy)
{
    json_unref(policy->document);
    policy->document = NULL;
    policy->rule_count = 0;
}

/* ---- deciding ---- */

static bool
any_tag_matches(const struct json *tags, const char *wanted, bool is_prefix)
{
    for (size_t i = 0; i < json_size(tags); i++) {
        const struct str tag = str_of(json_cstr(json_at(tags, i), ""));
        if (is_prefix ? str_starts(tag, str_of(wanted)) : str_like(str_of(wanted), tag))
            return true;
    }
    return false;
}

static bool
rule_selects(const struct lifecycle_rule *rule, const struct json *image)
{
    const struct json *tags = json_get(image, "tags");

    if ((strcmp(json_get_cstr(image, "status", ""), "ARCHIVED") == 0) != rule->is_archive)
        return false;
    if (rule->tags != LIFECYCLE_TAGGED)
        return rule->tags == LIFECYCLE_ANY || json_size(tags) == 0;
    for (size_t i = 0; i < json_size(rule->patterns); i++)
        if (!any_tag_matches(tags, json_cstr(json_at(rule->patterns, i), ""), false))
            return false;
    for (size_t i = 0; i < json_size(rule->prefixes); i++)
        if (!any_tag_matches(tags, json_cstr(json_at(rule->prefixes, i), ""), true))
            return false;
    return true;
}

/* When it came, or came back from the archive: a restored image is as good as just pushed. */
static int64_t
came_ms(const struct json *image)
{
    const int64_t pushed = json_get_i64(image, "pushedAt", 0), activated = json_get_i64(image, "activatedAt", 0);

    return activated > pushed ? activated : pushed;
}

static int64_t
counted_from_ms(const struct lifecycle_rule *rule, const struct json *image)
{
    const int64_t came = came_ms(image), pulled = json_get_i64(image, "pulledAt", 0);
    const bool is_pulled_since = pulled > json_get_i64(image, "activatedAt", 0);

    if (rule->count == LIFECYCLE_SINCE_TRANSITIONED)
        return json_get_i64(image, "archivedAt", 0);
    return rule->count == LIFECYCLE_SINCE_PULLED && is_pulled_since ? pulled : came;
}

/* `seen`: how many younger images the rule selects. */
static bool
rule_takes(const struct lifecycle_rule *rule, const struct json *image, int64_t seen,
             int64_t now_ms)
{
    if (rule->count == LIFECYCLE_MORE_THAN)
        return seen >= rule->number;
    return now_ms - counted_from_ms(rule, image) > rule->number * DAY_MS;
}

struct place {
    int64_t came_ms;
    size_t index; /* in the list, which has the newest push first */
};

static int
newest_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->came_ms != y->came_ms)
        return x->came_ms < y->came_ms ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static struct place *
places_sorted(const struct json *images)
{
    const size_t count = json_size(images);
    struct place *places = mem_new((count + 1) * sizeof *places);

    for (size_t i = 0; i < count; i++)
        places[i] = (struct place){came_ms(json_at(images, i)), i};
    qsort(places, count, sizeof *places, newest_first);
    return places;
}

void
lifecycle_evaluate(const struct lifecycle_policy *policy, const struct json *images, int64_t now_ms,
                   lifecycle_is_kept *is_kept, void *ctx, int64_t *rules_out)
{
    const size_t count = json_size(images);
    cleanup_free bool *is_taken = mem_new(count + 1); /* by a rule of higher priority */
    cleanup_free struct place *places = places_sorted(images);

    memset(rules_out, 0, count * sizeof *rules_out);
    for (size_t r = 0; r < policy->rule_count; r++) {
        const struct lifecycle_rule *rule = &policy->rules[r];
        int64_t seen = 0;
        for (size_t p = 0; p < count; p++) {
            const size_t i = places[p].index;
            const struct json *image = json_at(images, i);
            if (!rule_selects(rule, image))
                continue;
            if (!is_taken[i] && rule_takes(rule, image, seen, now_ms) &&
                (is_kept == NULL || !is_kept(ctx, json_get_cstr(image, "digest", ""))))
                rules_out[i] = rule->priority;
            is_taken[i] = true;
            seen++;
        }
    }
}

bool
lifecycle_transitions(const struct lifecycle_policy *policy, int64_t priority)
{
    for (size_t r = 0; r < policy->rule_count; r++)
        if (policy->rules[r].priority == priority)
            return policy->rules[r].transitions;
    return false;
}
