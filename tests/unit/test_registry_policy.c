/* SPDX-License-Identifier: MIT */
/* Policies: what AWS's evaluation says about a request, and which documents are none. */
#include "registry_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "registry/policy.h"

#define ROOT "arn:aws:iam::000000000000:root"
#define ALICE "arn:aws:iam::000000000000:user/alice"
#define BOB "arn:aws:iam::111111111111:role/bob"

/* 2026-01-02T03:04:05Z */
#define NOW_MS 1767323045000LL

static struct policy_request
request(const char *principal, const char *action)
{
    return (struct policy_request){
        .principal = principal, .action = action, .source_ip = "10.1.2.3", .region = REGION,
        .resource = "arn:aws:ecr:" REGION ":000000000000:repository/team/web", .now_ms = NOW_MS};
}

/* Single quotes stand for double ones. */
static char *
quoted(const char *text)
{
    char *copy = text_dup(text);

    for (char *c = copy; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

static enum policy_verdict
says(enum policy_kind kind, const char *statements, const struct policy_request *rq)
{
    cleanup_free char *single = text_format("{'Version':'2012-10-17','Statement':[%s]}", statements);
    cleanup_free char *text = quoted(single);
    cleanup_json struct json *policy = NULL;
    struct err err = {0};

    CHECK(policy_parse(str_of(text), kind, &policy, &err));
    CHECK_TEXT(err.message, "");
    return policy_verdict(policy, rq);
}

#define SAYS(statements, principal, action)                             \
    ({                                                                  \
        const struct policy_request rq_ = request(principal, action);   \
        (int)says(POLICY_OF_REPOSITORY, statements, &rq_);              \
    })

#define SESSION "arn:aws:sts::000000000000:assumed-role/deploy/web-7"

TEST(an_explicit_deny_wins)
{
    const char *both = "{'Effect':'Allow','Principal':'*','Action':'ecr:*'},"
                       "{'Effect':'Deny','Principal':'*','Action':'ecr:PutImage'}";

    CHECK_EQ(SAYS(both, ALICE, "ecr:BatchGetImage"), POLICY_ALLOW);
    CHECK_EQ(SAYS(both, ALICE, "ecr:PutImage"), POLICY_DENY);
    CHECK_EQ(SAYS("{'Effect':'Allow','Principal':'*','Action':'ecr:PutImage'}", ALICE, "ecr:ListImages"),
             POLICY_NONE);
}

TEST(principals)
{
    static const struct {
        const char *principal, *who;
        bool matches;
    } cases[] = {
        {"'Principal':'*'", NULL, true},
        {"'Principal':{'AWS':'*'}", NULL, true},
        {"'Principal':{'AWS':'" ALICE "'}", ALICE, true},
        {"'Principal':{'AWS':'" ALICE "'}", ALICE "x", false},
        {"'Principal':{'AWS':['" BOB "','" ALICE "']}", ALICE, true},
        {"'Principal':{'AWS':'" ROOT "'}", ALICE, true}, /* the whole account */
        {"'Principal':{'AWS':'000000000000'}", ALICE, true},
        {"'Principal':{'AWS':'000000000000'}", BOB, false},
        {"'Principal':{'AWS':'" ROOT "'}", NULL, false},
        {"'Principal':{'Service':'ecs.amazonaws.com'}", ALICE, false},
        {"'NotPrincipal':{'AWS':'" ALICE "'}", ALICE, false},
        {"'Principal':{'AWS':'arn:aws:iam::000000000000:role/team/deploy'}", SESSION, true},
        {"'Principal':{'AWS':'arn:aws:iam::000000000000:role/deploy'}", SESSION, true},
        {"'Principal':{'AWS':'arn:aws:iam::000000000001:role/deploy'}", SESSION, false},
        {"'Principal':{'AWS':'arn:aws:iam::000000000000:role/deploys'}", SESSION, false},
        {"'Principal':{'AWS':'arn:aws:iam::000000000000:user/deploy'}", SESSION, false},
        {"'Principal':{'AWS':'" SESSION "'}", SESSION, true},
        {"'NotPrincipal':{'AWS':'" ALICE "'}", BOB, true},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        cleanup_free char *one =
            text_format("{'Effect':'Deny',%s,'Action':'ecr:PutImage'}", cases[i].principal);
        if ((SAYS(one, cases[i].who, "ecr:PutImage") == POLICY_DENY) != cases[i].matches)
            check_fail(__FILE__, __LINE__, "%s for %s", one, cases[i].who ? cases[i].who : "nobody");
    }
    struct policy_request service = request(NULL, "ecr:PutImage");
    service.service = "ecs.amazonaws.com";
    CHECK_EQ(says(POLICY_OF_REPOSITORY, "{'Effect':'Allow','Principal':{'Service':'ecs.amazonaws.com'},'Action':'*'}",
                  &service), POLICY_ALLOW);
}

TEST(actions_have_wildcards_and_no_case)
{
    static const struct {
        const char *action;
        bool matches;
    } cases[] = {
        {"'Action':'ecr:PutImage'", true},      {"'Action':'ECR:putimage'", true},
        {"'Action':'ecr:Put*'", true},          {"'Action':'ecr:?utImage'", true},
        {"'Action':'*'", true},                 {"'Action':['ecr:Get*','ecr:PutImage']", true},
        {"'Action':'ecr:PutImageX'", false},    {"'Action':'ecr:Get*'", false},
        {"'NotAction':'ecr:Get*'", true},       {"'NotAction':['ecr:Get*','ecr:Put*']", false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        cleanup_free char *one = text_format("{'Effect':'Allow','Principal':'*',%s}", cases[i].action);
        if ((SAYS(one, ALICE, "ecr:PutImage") == POLICY_ALLOW) != cases[i].matches)
            check_fail(__FILE__, __LINE__, "%s", one);
    }
}

TEST(resources_are_the_registry_s)
{
    static const struct {
        const char *resource;
        bool matches;
    } cases[] = {
        {"'Resource':'*'", true},
        {"'Resource':'arn:aws:ecr:" REGION ":000000000000:repository/team/*'", true},
        {"'Resource':'arn:aws:ecr:" REGION ":000000000000:repository/other/*'", false},
        {"'Resource':['arn:x','arn:aws:ecr:*:*:repository/team/web']", true},
        {"'NotResource':'arn:aws:ecr:*:*:repository/team/web'", false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct policy_request rq = request(ALICE, "ecr:PutImage");
        cleanup_free char *one = text_format(
            "{'Effect':'Allow','Principal':'*','Action':'ecr:PutImage',%s}", cases[i].resource);
        if ((says(POLICY_OF_REGISTRY, one, &rq) == POLICY_ALLOW) != cases[i].matches)
            check_fail(__FILE__, __LINE__, "%s", one);
    }
}

TEST(conditions)
{
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"'StringEquals':{'aws:PrincipalArn':'" ALICE "'}", true},
        {"'StringEquals':{'AWS:principalarn':['x','" ALICE "']}", true},
        {"'StringEquals':{'aws:username':'Alice'}", false},
        {"'StringEqualsIgnoreCase':{'aws:username':'Alice'}", true},
        {"'StringNotEquals':{'aws:username':['bob','alice']}", false},
        {"'StringNotEquals':{'aws:username':['bob','carol']}", true},
        {"'StringLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/a*'}", true},
        {"'StringNotLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/a*'}", false},
        {"'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::000000000000:user/*'}", true},
        {"'ArnLike':{'aws:PrincipalArn':'arn:aws:iam:*:user/alice'}", false}, /* not over a colon */
        {"'ArnNotEquals':{'aws:PrincipalArn':'" BOB "'}", true},
        {"'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}", true},
        {"'IpAddress':{'aws:SourceIp':['192.168.0.0/16','10.1.2.3']}", true},
        {"'IpAddress':{'aws:SourceIp':'10.1.2.0/30'}", true},
        {"'IpAddress':{'aws:SourceIp':'10.1.2.4/30'}", false},
        {"'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}", false},
        {"'IpAddress':{'aws:SourceIp':'::/0'}", false},
        {"'Bool':{'aws:SecureTransport':'false'}", true},
        {"'Bool':{'aws:SecureTransport':true}", false},
        {"'DateLessThan':{'aws:CurrentTime':'2026-01-02T03:04:06Z'}", true},
        {"'DateLessThan':{'aws:CurrentTime':'2026-01-02'}", false},
        {"'DateGreaterThanEquals':{'aws:CurrentTime':'2026-01-02T03:04:05Z'}", true},
        {"'NumericLessThan':{'aws:EpochTime':1767323046}", true},
        {"'NumericEquals':{'aws:EpochTime':'1767323045'}", true},
        {"'Null':{'aws:PrincipalOrgID':'true'}", true},
        {"'Null':{'aws:PrincipalArn':'true'}", false},
        {"'StringEquals':{'aws:PrincipalOrgID':'o-1'}", false},
        {"'StringNotEquals':{'aws:PrincipalOrgID':'o-1'}", true},
        {"'StringEqualsIfExists':{'aws:PrincipalOrgID':'o-1'}", true},
        {"'ForAllValues:StringEquals':{'aws:TagKeys':'a'}", true},
        {"'ForAnyValue:StringEquals':{'aws:TagKeys':'a'}", false},
        {"'ForAnyValue:StringEquals':{'aws:username':'alice'}", true},
        {"'StringEquals':{'ecr:ResourceTag/stage':'prod'}", true},
        {"'StringEquals':{'aws:ResourceTag/stage':'test'}", false},
        /* all of them */
        {"'StringEquals':{'aws:username':'alice','aws:RequestedRegion':'eu-west-1'}", false},
        {"'StringEquals':{'aws:username':'alice'},'Bool':{'aws:SecureTransport':'true'}", false},
    };
    cleanup_json struct json *tags = json_parse(STR("[{\"Key\":\"stage\",\"Value\":\"prod\"}]"), NULL);

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct policy_request rq = request(ALICE, "ecr:PutImage");
        cleanup_free char *one =
            text_format("{'Effect':'Allow','Principal':'*','Action':'ecr:*','Condition':{%s}}",
                        cases[i].condition);
        rq.resource_tags = tags;
        if ((says(POLICY_OF_REPOSITORY, one, &rq) == POLICY_ALLOW) != cases[i].holds)
            check_fail(__FILE__, __LINE__, "%s", cases[i].condition);
    }
}

static void
refused(enum policy_kind kind, const char *text, const char *why)
{
    cleanup_json struct json *policy = NULL;
    cleanup_free char *document = quoted(text);
    struct err err = {0};

    if (policy_parse(str_of(document), kind, &policy, &err))
        check_fail(__FILE__, __LINE__, "taken: %s", text);
    CHECK_EQ(err.code, ERR_INVALID_PARAMETER);
    if (strstr(err.message, why) == NULL)
        check_fail(__FILE__, __LINE__, "%s does not say '%s'", err.message, why);
}

TEST(what_is_no_policy)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{", "'Invalid repository policy provided'"},
        {"[]", "no object"},
        {"{}", "Statement"},
        {"{'Statement':[]}", "1 to 100"},
        {"{'Statement':[1]}", "statement 1: it is no object"},
        {"{'Version':'2020-01-01','Statement':{}}", "2020-01-01"},
        {"{'Foo':1,'Statement':{}}", "no element Foo"},
        {"{'Statement':{'Effect':'Maybe','Principal':'*','Action':'*'}}", "Maybe"},
        {"{'Statement':{'Effect':'Allow','Action':'*'}}", "NotPrincipal"},
        {"{'Statement':{'Effect':'Allow','Principal':'x','Action':'*'}}", "not x"},
        {"{'Statement':{'Effect':'Allow','Principal':{},'Action':'*'}}", "Principal"},
        {"{'Statement':{'Effect':'Allow','Principal':{'Foo':'x'},'Action':'*'}}", "Foo"},
        {"{'Statement':{'Effect':'Allow','Principal':{'AWS':'bob'},'Action':'*'}}", "no principal: bob"},
        {"{'Statement':{'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::1:*'},'Action':'*'}}", "wildcards"},
        {"{'Statement':{'Effect':'Allow','Principal':'*'}}", "NotAction"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','NotAction':'*'}}", "NotAction"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'s3:Get'}}", "s3:Get"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':[]}}", "Action"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Resource':'*'}}", "Resource"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Sid':1}}", "Sid"},
        {"{'Statement':[{'Effect':'Allow','Principal':'*','Action':'*','Sid':'a'},"
         "{'Effect':'Allow','Principal':'*','Action':'*','Sid':'a'}]}", "statement 2"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Condition':[]}}", "Condition"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Condition':{'Like':{'a':'b'}}}}", "Like"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Condition':{'NullIfExists':{'a':'true'}}}}",
         "NullIfExists"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Condition':{'Bool':{'a':'x'}}}}", "true and"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Condition':{'IpAddress':{'a':'1.2'}}}}",
         "addresses"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*','Condition':{'DateEquals':{'a':'x'}}}}", "dates"},
        {"{'Statement':{'Effect':'Allow','Principal':'*','Action':'*',"
         "'Condition':{'StringEquals':{'a':'${aws:username}'}}}}", "variables"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        refused(POLICY_OF_REPOSITORY, cases[i].text, cases[i].why);
    refused(POLICY_OF_REGISTRY, "{'Statement':{'Effect':'Allow','Principal':'*','Action':'*'}}",
            "'Invalid registry policy provided'");
    cleanup_free char *blanks = mem_new(POLICY_TEXT_MAX + 2);
    memset(blanks, ' ', POLICY_TEXT_MAX + 1);
    refused(POLICY_OF_REGISTRY, blanks, "10240");
}

/* ---- on disk ---- */

#define DENY_PUT "{\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"ecr:*\"}}"
#define DENY_REGISTRY \
    "{\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"ecr:Put*\",\"Resource\":" \
    "\"arn:aws:ecr:*:*:repository/team/*\"}}"

static int
door(struct registry *reg, const char *repository, const char *action, const char *principal)
{
    const struct registry_caller caller = {.principal = principal, .source_ip = "127.0.0.1"};
    return (int)registry_policy_says(reg, REGION, repository, action, &caller, clock_wall_ms());
}

TEST(who_assumes_a_role_does_not_leave_behind_what_is_denied_to_him)
{
    REGISTRY(w);
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, REGION, "team/web", NULL, &err));
    CHECK(registry_policy_set(w.reg, REGION, "team/web",
                              "{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":{\"AWS\":\"" ALICE "\"},\"Action\":\"*\"},"
                              "{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::000000000000:role/deploy\"},"
                              "\"Action\":\"ecr:ListImages\"}]}", &err));
    struct registry_caller caller = {.principal = SESSION};
    CHECK_EQ(registry_policy_says(w.reg, REGION, "team/web", "ecr:ListImages", &caller, 0), REGISTRY_ALLOWS);
    CHECK_EQ(registry_policy_says(w.reg, REGION, "team/web", "ecr:PutImage", &caller, 0), REGISTRY_SAYS_NOTHING);
    caller.holder = BOB;
    CHECK_EQ(registry_policy_says(w.reg, REGION, "team/web", "ecr:ListImages", &caller, 0), REGISTRY_ALLOWS);
    caller.holder = ALICE;
    CHECK_EQ(registry_policy_says(w.reg, REGION, "team/web", "ecr:ListImages", &caller, 0), REGISTRY_DENIES);
}

/* As in AWS. */
TEST(referrers_are_listed_by_who_may_get_the_image)
{
    REGISTRY(w);
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, REGION, "team/web", NULL, &err));
    CHECK(registry_policy_set(w.reg, REGION, "team/web",
                              "{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":{\"AWS\":\"" BOB "\"},\"Action\":\"ecr:BatchGetImage\"},"
                              "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"ecr:ListImageReferrers\"}]}", &err));
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImageReferrers", ALICE), REGISTRY_ALLOWS);
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImageReferrers", BOB), REGISTRY_DENIES);
    CHECK(registry_policy_set(w.reg, REGION, "team/web",
                              "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"ecr:BatchGetImage\"},"
                              "{\"Effect\":\"Deny\",\"Principal\":{\"AWS\":\"" BOB "\"},\"Action\":\"ecr:ListImageReferrers\"}]}", &err));
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImageReferrers", ALICE), REGISTRY_ALLOWS);
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImageReferrers", BOB), REGISTRY_DENIES);
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImages", ALICE), REGISTRY_SAYS_NOTHING);
}

/* Then a condition on them would not keep anybody out. */
TEST(tags_that_cannot_be_read_let_nobody_in)
{
    REGISTRY(w);
    cleanup_json struct json *secret = json_parse(STR("{\"tags\":[{\"Key\":\"stage\",\"Value\":\"prod\"}]}"), NULL);
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, REGION, "team/web", secret, &err));
    CHECK(registry_policy_set(w.reg, REGION, "team/web",
                              "{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"ecr:PutImage\","
                              "\"Condition\":{\"StringEquals\":{\"ecr:ResourceTag/stage\":\"prod\"}}},"
                              "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"ecr:DescribeImages\","
                              "\"Condition\":{\"StringNotEquals\":{\"ecr:ResourceTag/stage\":\"prod\"}}},"
                              "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"ecr:ListImages\"}]}", &err));
    for (int i = 0; i < 2; i++) { /* the second time they cannot be read */
        CHECK_EQ(door(w.reg, "team/web", "ecr:PutImage", ALICE), REGISTRY_DENIES);
        CHECK_EQ(door(w.reg, "team/web", "ecr:DescribeImages", ALICE), REGISTRY_SAYS_NOTHING);
        CHECK_EQ(door(w.reg, "team/web", "ecr:ListImages", ALICE), REGISTRY_ALLOWS);
        registry_close(w.reg);
        cleanup_free char *path = text_format("%s/registry/" REGION "/team/web/_repository.json", w.dir);
        CHECK(file_write_atomic(path, STR("{"), 0600, &err));
        w.reg = registry_open(w.dir, ACCOUNT, REGION, &err);
        CHECK(w.reg != NULL);
    }
}

TEST(policies_are_kept_and_asked)
{
    REGISTRY(w);
    struct err err = {0};
    cleanup(strbuf_done) struct strbuf text = {0};

    CHECK(registry_repository_create(w.reg, REGION, "team/web", NULL, &err));
    CHECK(!registry_policy_get(w.reg, REGION, "team/web", &text, &err));
    CHECK_EQ(err.code, ERR_ECR_POLICY_NOT_FOUND);
    CHECK(!registry_policy_set(w.reg, REGION, NULL, NULL, &err));
    CHECK_EQ(err.code, ERR_ECR_REGISTRY_POLICY_NOT_FOUND);
    CHECK_EQ(door(w.reg, "team/web", "ecr:PutImage", ALICE), REGISTRY_SAYS_NOTHING);
    CHECK(registry_policy_set(w.reg, REGION, NULL, DENY_REGISTRY, &err));
    CHECK_EQ(door(w.reg, "team/web", "ecr:PutImage", ALICE), REGISTRY_DENIES);
    CHECK_EQ(door(w.reg, "other", "ecr:PutImage", ALICE), REGISTRY_SAYS_NOTHING);
    CHECK(registry_policy_set(w.reg, REGION, NULL, NULL, &err));
    CHECK(registry_policy_set(w.reg, REGION, "team/web", DENY_PUT, &err));
    CHECK(registry_policy_get(w.reg, REGION, "team/web", &text, &err));
    CHECK_TEXT(strbuf_cstr(&text), DENY_PUT);
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImages", ROOT), REGISTRY_DENIES);
    CHECK_EQ(door(w.reg, "team/web", "ecr:DeleteRepositoryPolicy", ALICE), REGISTRY_DENIES);
    CHECK_EQ(door(w.reg, "team/web", "ecr:DeleteRepositoryPolicy", ROOT), REGISTRY_ALLOWS);
    CHECK_EQ(door(w.reg, "../team/web", "ecr:ListImages", ALICE), REGISTRY_SAYS_NOTHING);
    /* It goes with its repository. */
    CHECK(registry_repository_delete(w.reg, REGION, "team/web", true, &err));
    CHECK(registry_repository_create(w.reg, REGION, "team/web", NULL, &err));
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImages", ALICE), REGISTRY_SAYS_NOTHING);
    /* One that cannot be read lets nobody in. */
    cleanup_free char *path = text_format("%s/registry/" REGION "/team/web/_policy.json", w.dir);
    registry_close(w.reg);
    CHECK(file_write_atomic(path, STR("{"), 0600, &err));
    w.reg = registry_open(w.dir, ACCOUNT, REGION, &err);
    CHECK_EQ(door(w.reg, "team/web", "ecr:ListImages", ALICE), REGISTRY_DENIES);
}

#define MADE 16

struct watched {
    struct registry *reg;
    atomic_int current; /* MADE: all are there */
    int bare;
};

static bool
template_set(void *arg, struct json *document, struct err *err)
{
    json_set(document, REGISTRY_TEMPLATES, json_parse(str_of(arg), err));
    return json_get(document, REGISTRY_TEMPLATES) != NULL;
}

static void *
looks_for_one_without_its_policy(void *arg)
{
    struct watched *w = arg;
    char name[32];

    for (int i = 0; (i = atomic_load(&w->current)) < MADE;) {
        cleanup(registry_repository_done) struct registry_repository r = {0};
        snprintf(name, sizeof name, "team/app%d", i);
        if (registry_repository_get(w->reg, REGION, name, &r, NULL) &&
            door(w->reg, name, "ecr:InitiateLayerUpload", ALICE) != REGISTRY_DENIES)
            w->bare++;
    }
    return NULL;
}

/* The layers of a push come at once: all but the first find a repository that is just being made. */
TEST(a_repository_is_never_there_without_the_policy_of_its_template)
{
    REGISTRY(w);
    struct watched seen = {.reg = w.reg};
    char name[32];
    struct err err = {0};
    pthread_t thread;
    cleanup_json struct json *templates = json_array();
    struct json *one = json_object();

    json_set(one, "prefix", json_text("team"));
    json_set(one, "repositoryPolicy", json_text(DENY_PUT));
    json_set(one, "appliedFor", json_parse(STR("[\"CREATE_ON_PUSH\"]"), &err));
    json_append(templates, one);
    cleanup_free char *text = json_format(templates);
    CHECK(registry_document_change(w.reg, REGION, template_set, text, &err));
    CHECK(pthread_create(&thread, NULL, looks_for_one_without_its_policy, &seen) == 0);
    for (int i = 0; i < MADE; i++) {
        snprintf(name, sizeof name, "team/app%d", i);
        CHECK(registry_create_by_template(w.reg, REGION, name, "CREATE_ON_PUSH", &err));
        CHECK_EQ(door(w.reg, name, "ecr:InitiateLayerUpload", ALICE), REGISTRY_DENIES);
        atomic_store(&seen.current, i + 1);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(seen.bare, 0);
}
