/* SPDX-License-Identifier: MIT */
/* Lifecycle policies: who goes by which rule, told as tables of images; AWS's documented examples among them. */
#include "check.h"

#include "base/json.h"
#include "registry/lifecycle.h"

#define DAY_MS (24LL * 3600 * 1000)
#define NOW_MS (1000 * DAY_MS)

/* Single quotes stand for double ones. */
static struct str
quoted(const char *text, char **copy)
{
    *copy = text_dup(text);
    for (char *c = *copy; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    return str_of(*copy);
}

/* "A alpha-1,beta-1 3" is image A with two tags, pushed three days ago; "B - 2/1" has none and was pulled a day ago;
 * "C - 9/x/4" was never pulled and was archived four days ago, "D - 9/x/4/1" was restored a day ago. */
static struct json *
images_read(const char *text)
{
    static const char *const times[] = {"pulledAt", "archivedAt", "activatedAt"};
    struct json *images = json_array();
    struct str rest = str_of(text), line;

    while (str_split(&rest, ';', &line)) {
        struct str fields = str_trim(line), digest, tags, age, tag;
        struct json *image = json_object(), *list = json_array();
        int64_t days = 0;

        CHECK(str_split(&fields, ' ', &digest) && str_split(&fields, ' ', &tags) && str_split(&fields, '/', &age));
        CHECK(str_to_i64(age, &days));
        json_set(image, "digest", json_str(digest));
        json_set(image, "pushedAt", json_int(NOW_MS - days * DAY_MS - 1));
        for (size_t i = 0; i < ARRAY_COUNT(times) && str_split(&fields, '/', &age); i++)
            if (str_to_i64(age, &days))
                json_set(image, times[i], json_int(NOW_MS - days * DAY_MS - 1));
        if (json_get(image, "archivedAt") != NULL && json_get(image, "activatedAt") == NULL)
            json_set(image, "status", json_text("ARCHIVED"));
        while (!str_is(tags, "-") && str_split(&tags, ',', &tag))
            json_append(list, json_str(tag));
        json_set(image, "tags", list);
        json_append(images, image);
    }
    return images;
}

static bool
is_kept(void *ctx, const char *digest)
{
    return strstr(ctx, digest) != NULL;
}

/* "A1 B2": image A goes by the rule of priority 1, and so on. `kept` are those that must not go. */
static char *
gone(const char *rules, const char *table, const char *kept)
{
    cleanup_free char *single = text_format("{'rules':[%s]}", rules);
    cleanup_free char *text = NULL;
    cleanup_json struct json *images = images_read(table);
    cleanup_free int64_t *by = mem_new((json_size(images) + 1) * sizeof *by);
    cleanup(lifecycle_done) struct lifecycle_policy policy = {0};
    struct strbuf out = {0};
    struct err err = {0};

    CHECK(lifecycle_parse(quoted(single, &text), &policy, &err));
    CHECK_TEXT(err.message, "");
    lifecycle_evaluate(&policy, images, NOW_MS, is_kept, (void *)kept, by);
    for (size_t i = 0; i < json_size(images); i++)
        if (by[i] != 0)
            strbuf_addf(&out, "%s%s%lld", out.len > 0 ? " " : "", json_get_cstr(json_at(images, i), "digest", ""),
                        (long long)by[i]);
    strbuf_reserve(&out, 1);
    out.at[out.len] = '\0';
    return out.at;
}

#define RULE(priority, selection) \
    "{'rulePriority':" #priority ",'selection':{" selection "},'action':{'type':'expire'}}"
#define COUNT(n) "'countType':'imageCountMoreThan','countNumber':" #n
#define DAYS(n) "'countType':'sinceImagePushed','countUnit':'days','countNumber':" #n
#define PREFIX(list) "'tagStatus':'tagged','tagPrefixList':[" list "],"
#define ARCHIVED(n) "'storageClass':'archive','countType':'sinceImageTransitioned','countUnit':'days','countNumber':" #n
#define TRANSITION(priority, selection)                                                     \
    "{'rulePriority':" #priority ",'selection':{" selection "},'action':{'type':'transition'" \
    ",'targetStorageClass':'archive'}}"
#define PATTERN(list) "'tagStatus':'tagged','tagPatternList':[" list "],"

static void
expect(const char *rules, const char *table, const char *want)
{
    cleanup_free char *is = gone(rules, table, "");
    CHECK_TEXT(is, want);
}

TEST(age_counts_from_the_push)
{
    expect(RULE(1, PATTERN("'prod*'") DAYS(14)), "A prod-3 13; B prod-2 14; C prod-1 20; D dev-1 30", "B1 C1");
    expect(RULE(1, "'tagStatus':'untagged'," DAYS(1)), "A v1 9; B - 0; C - 1; D - 2", "C1 D1");
}

TEST(age_counts_from_the_last_pull_or_else_from_the_push)
{
    expect(RULE(1, "'tagStatus':'any','countType':'sinceImagePulled','countUnit':'days','countNumber':10"),
           "A v1 30/2; B v2 30/11; C v3 30; D v4 3", "B1 C1");
}

TEST(the_youngest_are_kept)
{
    expect(RULE(1, "'tagStatus':'untagged'," COUNT(1)), "A - 1; B v1 2; C - 3; D - 4", "C1 D1");
    expect(RULE(1, "'tagStatus':'any'," COUNT(2)), "A - 1; B v1 2; C - 3; D v2 4", "C1 D1");
}

/* AWS's examples of several rules: what a rule of higher priority takes is not expired by another. */
TEST(priorities_decide_between_rules)
{
    const char *images = "C beta-3 1; B beta-2,prod-2 2; A beta-1,prod-1 3";

    expect(RULE(1, PREFIX("'prod'") COUNT(1)) "," RULE(2, PREFIX("'beta'") COUNT(1)), images, "A1");
    expect(RULE(1, PREFIX("'beta'") COUNT(1)) "," RULE(2, PREFIX("'prod'") COUNT(1)), images, "B1 A1");
    /* the order in the document is none */
    expect(RULE(2, PREFIX("'beta'") COUNT(1)) "," RULE(1, PREFIX("'prod'") COUNT(1)), images, "A1");
}

/* AWS's examples of several prefixes in a rule: all of them have to be there. */
TEST(all_prefixes_of_a_rule_have_to_match)
{
    expect(RULE(1, PREFIX("'alpha','beta'") COUNT(1)),
           "E alpha-4,beta-4 1; D alpha-3 2; C alpha-2,beta-2 3; B beta-1 4; A alpha-1 5", "C1");
    expect(RULE(1, PREFIX("'alpha','beta'") COUNT(1)),
           "C alpha-3,beta-3,gamma-2 1; B alpha-2,beta-2 2; A alpha-1,beta-1,gamma-1 3", "B1 A1");
    expect(RULE(1, PATTERN("'*-alpha','v?'") COUNT(1)), "B x-alpha,v? 1; A y-alpha,v? 2", "A1");
}

TEST(a_rule_for_all_comes_last_and_counts_everybody)
{
    const char *rules = RULE(1, PREFIX("'keep'") COUNT(99)) "," RULE(5, "'tagStatus':'untagged'," DAYS(7)) ","
                        RULE(9, "'tagStatus':'any'," COUNT(3));

    expect(rules, "A - 1; B x 2; C keep-1 3; D y 4; E keep-2 5; F - 6; G - 8; H z 9", "D9 G5 H9");
}

TEST(each_storage_class_has_its_rules)
{
    const char *rules = TRANSITION(1, "'tagStatus':'any'," DAYS(10)) "," RULE(2, "'tagStatus':'any'," ARCHIVED(90));

    expect(rules, "A v1 9; B v2 20; C v3 300/x/90; D v4 300/x/89; E - 400/x/100", "B1 C2 E2");
    /* the same tags in both, and none of the archived is counted */
    expect(TRANSITION(1, PREFIX("'v'") COUNT(1)) "," RULE(2, PREFIX("'v'") ARCHIVED(90)),
           "A v1 1/x/100; B v2 2; C v3 3; D w 4/x/100", "A2 C1");
}

TEST(a_restored_image_is_as_good_as_pushed)
{
    expect(TRANSITION(1, "'tagStatus':'any'," DAYS(10)), "A v1 20/x/8/2; B v2 20; C v3 20/x/18/15", "B1 C1");
    expect(TRANSITION(1, "'tagStatus':'any'," COUNT(1)), "A v1 1; B v2 2; C v3 20/x/9/0", "A1 B1");
    expect(TRANSITION(1, "'tagStatus':'any','countType':'sinceImagePulled','countUnit':'days','countNumber':10"),
           "A v1 30/20/9/5; B v2 30/2/15/12; C v3 30/28/25/20", "C1");
}

TEST(what_must_stay_stays_and_is_counted)
{
    cleanup_free char *is = gone(RULE(1, "'tagStatus':'any'," COUNT(1)), "A v4 1; B v3 2; C v2 3; D v1 4", "C");
    CHECK_TEXT(is, "B1 D1");
}

static void
refused(const char *text, enum err_code code, const char *why)
{
    cleanup_free char *document = NULL;
    struct lifecycle_policy policy;
    struct err err = {0};

    if (lifecycle_parse(quoted(text, &document), &policy, &err))
        check_fail(__FILE__, __LINE__, "taken: %s", text);
    CHECK_EQ(err.code, code);
    if (strstr(err.message, why) == NULL)
        check_fail(__FILE__, __LINE__, "%s does not say '%s'", err.message, why);
}

#define ONE(selection) "{'rules':[" RULE(1, selection) "]}"
#define TWO(a, b) "{'rules':[" a "," b "]}"

TEST(what_is_no_policy)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"x", "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation "
              "failure: it is no JSON"},
        {"[]", "no object"},
        {"{}", "rules"},
        {"{'rules':[]}", "1 to 50"},
        {"{'rules':[1]}", "rule 1: it is no object"},
        {"{'rules':[{}],'x':1}", "no member x"},
        {"{'rules':[{'rulePriority':0}]}", "rulePriority"},
        {"{'rules':[{'rulePriority':1,'action':{'type':'burn'}}]}", "burn"},
        {"{'rules':[{'rulePriority':1,'action':{'type':'expire'}}]}", "selection"},
        {"{'rules':[{'rulePriority':1,'action':{'type':'expire','targetStorageClass':'archive'}}]}", "targetStorageClass"},
        {ONE("'tagStatus':'some'," COUNT(1)), "some"},
        {ONE("'tagStatus':'tagged'," COUNT(1)), "either"},
        {ONE(PREFIX("'a'") "'tagPatternList':['b']," COUNT(1)), "either"},
        {ONE(PREFIX("''") COUNT(1)), "tagPrefixList"},
        {ONE(PATTERN("'*a*b*c*d*'") COUNT(1)), "four wildcards"},
        {ONE("'tagStatus':'any','tagPrefixList':['a']," COUNT(1)), "do not go with tagStatus any"},
        {ONE("'tagStatus':'any'," COUNT(0)), "countNumber"},
        {ONE("'tagStatus':'any','countType':'x','countNumber':1"), "no countType x"},
        {ONE("'tagStatus':'any','countType':'sinceImagePushed','countNumber':1"), "countUnit"},
        {ONE("'tagStatus':'any','countUnit':'days'," COUNT(1)), "countUnit"},
        {ONE("'tagStatus':'any','storageClass':'tape'," COUNT(1)), "tape"},
        {ONE("'tagStatus':'any','x':1," COUNT(1)), "no member x"},
        {TWO(RULE(1, "'tagStatus':'any'," COUNT(1)), RULE(1, "'tagStatus':'untagged'," COUNT(1))), "rule 2: another"},
        {TWO(RULE(1, "'tagStatus':'any'," COUNT(1)), RULE(2, "'tagStatus':'untagged'," COUNT(1))), "highest"},
        {TWO(RULE(1, "'tagStatus':'any'," COUNT(1)), RULE(2, "'tagStatus':'any'," COUNT(1))), "only one rule"},
        {TWO(RULE(1, "'tagStatus':'untagged'," COUNT(1)), RULE(2, "'tagStatus':'untagged'," DAYS(1))), "untagged"},
        {TWO(RULE(1, PREFIX("'a'") COUNT(1)), RULE(2, PREFIX("'b','a'") COUNT(1))), "prefixes"},
        {ONE("'tagStatus':'any','storageClass':'archive'," COUNT(1)), "goes with sinceImageTransitioned"},
        {ONE("'tagStatus':'any','countType':'sinceImageTransitioned','countUnit':'days','countNumber':90"), "goes with sinceImageTransitioned"},
        {ONE("'tagStatus':'any'," ARCHIVED(89)), "90 days at least"},
        {"{'rules':[" TRANSITION(1, "'tagStatus':'any'," ARCHIVED(90)) "]}", "already"},
        {"{'rules':[{'rulePriority':1,'action':{'type':'transition'}}]}", "targetStorageClass 'archive'"},
        {"{'rules':[{'rulePriority':1,'action':{'type':'transition','targetStorageClass':'tape'}}]}", "targetStorageClass 'archive'"},
        {TWO(RULE(1, "'tagStatus':'any'," ARCHIVED(90)), RULE(2, "'tagStatus':'any'," ARCHIVED(91))), "only one rule"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        refused(cases[i].text, ERR_INVALID_PARAMETER, cases[i].why);
}
