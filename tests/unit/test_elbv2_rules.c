/* SPDX-License-Identifier: MIT */
/* Rules of listeners through the Query protocol, over a real core. */
#include "elb_world.h"

#define PATH "&Conditions.member.1.Field=path-pattern&Conditions.member.1.Values.member.1="
#define FORWARD "&Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn="
#define GONE "&Actions.member.1.Type=fixed-response&Actions.member.1.FixedResponseConfig.StatusCode=410"

/* A listener that forwards to the group `tg`, and an idle group: `other`. */
static const char *
prepare_listener(struct world *w)
{
    prepare(w);
    works(w, LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s", lb_arn(w), tg_arn(w));
    works(w, "Action=CreateTargetGroup&Name=other&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip");
    return w->core->listeners->arn;
}

static const char *
other_arn(const struct world *w)
{
    return w->core->target_groups->next->arn;
}

static const char *
create(struct world *w, int priority, const char *rest)
{
    const struct rule *r;

    works(w, "Action=CreateRule&ListenerArn=%s&Priority=%d%s", w->core->listeners->arn, priority, rest);
    for (r = w->core->rules; r != NULL; r = r->next)
        if (r->priority == priority)
            break;
    CHECK(r != NULL && says(w, r->arn));
    return r->arn;
}

static const char *
where(const struct world *w, const char *text)
{
    const char *at = strstr(w->body, text);

    if (at == NULL)
        check_fail(__FILE__, __LINE__, "%s lacks %s", w->body, text);
    return at;
}

TEST(rules_are_listed_by_priority_and_the_default_rule_is_the_last)
{
    cleanup(world_done) struct world w;
    const char *l = prepare_listener(&w), *first, *second;
    char default_arn[ARN_SIZE];

    works(&w, "Action=DescribeRules&ListenerArn=%s", l);
    CHECK(says(&w, "<Priority>default</Priority>") && says(&w, "<IsDefault>true</IsDefault>"));
    CHECK(says(&w, tg_arn(&w)) && says(&w, "<Conditions"));
    const char *arn = where(&w, "<RuleArn>") + strlen("<RuleArn>");
    text_copy(default_arn, sizeof(default_arn), (struct str){arn, (size_t)(strchr(arn, '<') - arn)});
    CHECK(strstr(default_arn, ":listener-rule/app/lb/") != NULL);
    second = create(&w, 100, arena_format(&test_arena, PATH "/b*" FORWARD "%s", other_arn(&w)));
    CHECK(says(&w, "<Priority>100</Priority>") && says(&w, "<IsDefault>false</IsDefault>"));
    CHECK(says(&w, "<Values><member>/b*</member></Values><PathPatternConfig><Values><member>/b*</member></Values>"
                   "</PathPatternConfig>"));
    CHECK(says(&w, "<Weight>1</Weight>") && says(&w, other_arn(&w)));
    first = create(&w, 9, PATH "/a" GONE);
    /* the listener's ARN can be read off the rule's */
    CHECK(strncmp(strchr(strstr(first, ":listener-rule/") + 1, '/'), strchr(strstr(l, ":listener/") + 1, '/'),
                  strlen(strchr(strstr(l, ":listener/") + 1, '/'))) == 0);
    works(&w, "Action=DescribeRules&ListenerArn=%s", l);
    CHECK(where(&w, first) < where(&w, second) && where(&w, second) < where(&w, default_arn));
    CHECK(!says(&w, "NextMarker"));
    works(&w, "Action=DescribeRules&ListenerArn=%s&PageSize=2", l);
    CHECK(says(&w, first) && says(&w, second) && !says(&w, default_arn));
    CHECK(says(&w, "<NextMarker>100</NextMarker>"));
    works(&w, "Action=DescribeRules&ListenerArn=%s&PageSize=2&Marker=100", l);
    CHECK(!says(&w, first) && !says(&w, second) && says(&w, default_arn) && !says(&w, "NextMarker"));
    works(&w, "Action=DescribeRules&ListenerArn=%s&PageSize=1&Marker=9", l);
    CHECK(!says(&w, first) && says(&w, second) && says(&w, "NextMarker"));
    works(&w, "Action=DescribeRules&ListenerArn=%s&PageSize=3", l);
    CHECK(says(&w, default_arn) && !says(&w, "NextMarker"));
    works(&w, "Action=DescribeRules&RuleArns.member.1=%s&RuleArns.member.2=%s", default_arn, first);
    CHECK(where(&w, default_arn) < where(&w, first) && !says(&w, second));
    refused(&w, "ValidationError", "marker", "Action=DescribeRules&ListenerArn=%s&Marker=x", l);
    refused(&w, "ValidationError", "either", "Action=DescribeRules");
    refused(&w, "ValidationError", "either", "Action=DescribeRules&ListenerArn=%s&RuleArns.member.1=%s", l, first);
    refused(&w, "RuleNotFound", "", "Action=DescribeRules&RuleArns.member.1=%sx", first);
    refused(&w, "ValidationError", "not a valid listener rule ARN", "Action=DescribeRules&RuleArns.member.1=x");
    refused(&w, "ListenerNotFound", "", "Action=DescribeRules&ListenerArn=%sx", l);
    w.region = "us-west-2";
    refused(&w, "RuleNotFound", "", "Action=DescribeRules&RuleArns.member.1=%s", first);
    refused(&w, "RuleNotFound", "", "Action=DescribeRules&RuleArns.member.1=%s", default_arn);
    refused(&w, "RuleNotFound", "", "Action=DeleteRule&RuleArn=%s", first);
}

TEST(a_modified_rule_keeps_what_is_not_given)
{
    cleanup(world_done) struct world w;
    const char *arn;
    char l[ARN_SIZE];

    text_copy(l, sizeof(l), str_of(prepare_listener(&w)));
    arn = arena_format(&test_arena, "%s", create(&w, 5, PATH "/a" GONE "&Tags.member.1.Key=k&Tags.member.1.Value=v"));
    works(&w, "Action=ModifyRule&RuleArn=%s" PATH "/b", arn);
    CHECK(says(&w, "/b") && !says(&w, "/a<") && says(&w, "<StatusCode>410<") && says(&w, "<Priority>5</Priority>"));
    works(&w, "Action=ModifyRule&RuleArn=%s" FORWARD "%s", arn, other_arn(&w));
    CHECK(says(&w, "/b") && says(&w, other_arn(&w)) && !says(&w, "<StatusCode>410<"));
    works(&w, "Action=DescribeTags&ResourceArns.member.1=%s", arn);
    CHECK(says(&w, "<Key>k</Key><Value>v</Value>"));
    works(&w, "Action=AddTags&ResourceArns.member.1=%s&Tags.member.1.Key=k2&Tags.member.1.Value=v2", arn);
    works(&w, "Action=RemoveTags&ResourceArns.member.1=%s&TagKeys.member.1=k", arn);
    works(&w, "Action=DescribeTags&ResourceArns.member.1=%s", arn);
    CHECK(says(&w, "<Key>k2</Key>") && !says(&w, "<Key>k</Key>"));
    refused(&w, "RuleNotFound", "", "Action=ModifyRule&RuleArn=%sx" PATH "/b", arn);
    works(&w, "Action=DeleteRule&RuleArn=%s", arn);
    CHECK(w.core->rules == NULL);
    refused(&w, "RuleNotFound", "", "Action=DeleteRule&RuleArn=%s", arn);
    refused(&w, "RuleNotFound", "", "Action=DescribeTags&ResourceArns.member.1=%s", arn);
}

TEST(the_default_rule_is_the_listeners)
{
    cleanup(world_done) struct world w;
    const char *l = prepare_listener(&w), *arn;
    char default_arn[ARN_SIZE];

    works(&w, "Action=DescribeRules&ListenerArn=%s", l);
    arn = where(&w, "<RuleArn>") + strlen("<RuleArn>");
    text_copy(default_arn, sizeof(default_arn), (struct str){arn, (size_t)(strchr(arn, '<') - arn)});
    refused(&w, "OperationNotPermitted", "cannot be deleted", "Action=DeleteRule&RuleArn=%s", default_arn);
    refused(&w, "OperationNotPermitted", "cannot be modified", "Action=ModifyRule&RuleArn=%s" GONE, default_arn);
    refused(&w, "OperationNotPermitted", "",
            "Action=SetRulePriorities&RulePriorities.member.1.RuleArn=%s&RulePriorities.member.1.Priority=1", default_arn);
    works(&w, "Action=DescribeTags&ResourceArns.member.1=%s", default_arn);
    refused(&w, "InvalidConfigurationRequest", "not built",
            "Action=AddTags&ResourceArns.member.1=%s&Tags.member.1.Key=a", default_arn);
    works(&w, "Action=ModifyListener&ListenerArn=%s&DefaultActions.member.1.Type=fixed-response"
              "&DefaultActions.member.1.FixedResponseConfig.StatusCode=418", l);
    works(&w, "Action=DescribeRules&RuleArns.member.1=%s", default_arn); /* the same for ever */
    CHECK(says(&w, "418"));
}

TEST(a_group_that_a_rule_leads_to_is_in_use)
{
    cleanup(world_done) struct world w;
    const char *arn, *l = prepare_listener(&w);
    char other[ARN_SIZE];

    text_copy(other, sizeof(other), str_of(other_arn(&w)));
    works(&w, "Action=RegisterTargets&TargetGroupArn=%s&Targets.member.1.Id=10.0.0.1", other);
    works(&w, "Action=DescribeTargetHealth&TargetGroupArn=%s", other);
    CHECK(says(&w, "Target.NotInUse"));
    arn = create(&w, 5, arena_format(&test_arena, PATH "/a" FORWARD "%s", other));
    works(&w, "Action=DescribeTargetHealth&TargetGroupArn=%s", other);
    CHECK(!says(&w, "Target.NotInUse"));
    works(&w, "Action=DescribeTargetGroups&TargetGroupArns.member.1=%s", other);
    CHECK(says(&w, arena_format(&test_arena, "<member>%s</member>", lb_arn(&w))));
    works(&w, "Action=DescribeTargetGroups&LoadBalancerArn=%s", lb_arn(&w));
    CHECK(says(&w, other));
    refused(&w, "ResourceInUse", "", "Action=DeleteTargetGroup&TargetGroupArn=%s", other);
    /* and belongs to this load balancer */
    works(&w, "Action=CreateLoadBalancer&Name=lb2&Subnets.member.1=subnet-a&Subnets.member.2=subnet-b");
    refused(&w, "TargetGroupAssociationLimit", "",
            "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTP&Port=8081&DefaultActions.member.1.Type=forward"
            "&DefaultActions.member.1.TargetGroupArn=%s", w.core->load_balancers->next->arn, other);
    works(&w, "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTP&Port=8081&DefaultActions.member.1.Type="
              "fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=404",
          w.core->load_balancers->next->arn);
    refused(&w, "TargetGroupAssociationLimit", "", "Action=CreateRule&ListenerArn=%s&Priority=1" PATH "/x" FORWARD "%s",
            w.core->listeners->next->arn, other);
    works(&w, "Action=DeleteRule&RuleArn=%s", arn);
    works(&w, "Action=DeleteTargetGroup&TargetGroupArn=%s", other);
    /* rules go with their listener */
    create(&w, 6, PATH "/a" GONE);
    works(&w, "Action=DeleteListener&ListenerArn=%s", l);
    CHECK(w.core->rules == NULL);
}

TEST(a_service_may_have_a_group_that_only_a_rule_leads_to)
{
    cleanup(world_done) struct world w;
    char input[2048];
    const char *l;

    l = prepare_listener(&w);
    works(&w, "Action=CreateTargetGroup&Name=of-rule&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=instance");
    const char *group = w.core->target_groups->next->next->arn;
    world_call(&w, "CreateCluster", "{'clusterName':'c'}");
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    snprintf(input, sizeof(input),
             "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,'loadBalancers':[{"
             "'targetGroupArn':'%s','containerName':'app','containerPort':80}]}", group);
    world_refuse(&w, "CreateService", input, "InvalidParameterException",
                 "does not have an associated load balancer.");
    works(&w, "Action=CreateRule&ListenerArn=%s&Priority=1" PATH "/s*" FORWARD "%s", l, group);
    world_call(&w, "CreateService", "%s", input);
    world_settle(&w);
    CHECK_EQ(core_target_group(w.core, group)->target_count, 1);
    CHECK_EQ(core_target_group(w.core, group)->targets->state, TARGET_healthy);
}

TEST(priorities_change_all_or_none)
{
    cleanup(world_done) struct world w;
    const char *a, *b, *c;
#define PAIR(n) "&RulePriorities.member." n ".RuleArn=%s&RulePriorities.member." n ".Priority=%d"

    prepare_listener(&w);
    a = create(&w, 10, PATH "/a" GONE);
    b = create(&w, 20, PATH "/b" GONE);
    c = create(&w, 30, PATH "/c" GONE);
    works(&w, "Action=SetRulePriorities" PAIR("1") PAIR("2"), a, 20, b, 10); /* change places */
    CHECK(where(&w, a) < where(&w, b));
    CHECK(core_rule(w.core, a)->priority == 20 && core_rule(w.core, b)->priority == 10);
    refused(&w, "PriorityInUse", "'30'", "Action=SetRulePriorities" PAIR("1") PAIR("2"), a, 40, b, 30);
    refused(&w, "ValidationError", "named more than once", "Action=SetRulePriorities" PAIR("1") PAIR("2"), a, 40, b, 40);
    refused(&w, "ValidationError", "named more than once", "Action=SetRulePriorities" PAIR("1") PAIR("2"), a, 40, a, 41);
    refused(&w, "RuleNotFound", "", "Action=SetRulePriorities" PAIR("1") PAIR("2"), a, 40,
            arena_format(&test_arena, "%sx", b), 41);
    refused(&w, "ValidationError", "", "Action=SetRulePriorities" PAIR("1"), a, 50001);
    refused(&w, "ValidationError", "", "Action=SetRulePriorities&RulePriorities.member.1.RuleArn=%s", a);
    refused(&w, "ValidationError", "", "Action=SetRulePriorities&RulePriorities=");
    CHECK(core_rule(w.core, a)->priority == 20 && core_rule(w.core, b)->priority == 10);
    works(&w, "Action=SetRulePriorities" PAIR("1") PAIR("2"), c, 10, b, 50000);
    works(&w, "Action=SetRulePriorities" PAIR("1"), c, 10); /* as it is */
    CHECK(core_rule(w.core, c)->priority == 10 && core_rule(w.core, b)->priority == 50000);
    /* of another listener: a priority of its own */
    works(&w, "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTP&Port=8081&DefaultActions.member.1.Type="
              "fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=404", lb_arn(&w));
    works(&w, "Action=CreateRule&ListenerArn=%s&Priority=10" PATH "/a" GONE, w.core->listeners->next->arn);
    refused(&w, "PriorityInUse", "Priority '10' is currently in use",
            "Action=CreateRule&ListenerArn=%s&Priority=10" PATH "/a" GONE, w.core->listeners->arn);
}

/* ---- conditions ---- */

#define CONDITION "&Conditions.member.1.Field="
#define OF "&Conditions.member.1."

static void
bad(struct world *w, int line, const char *code, const char *text, const char *conditions)
{
    refused_at(w, line, code, text,
               arena_format(&test_arena, "Action=CreateRule&ListenerArn=%s&Priority=77%s" GONE, w->core->listeners->arn,
                            conditions));
    CHECK(w->core->rules == NULL);
}
#define bad(w, code, text, conditions) bad(w, __LINE__, code, text, conditions)

static void
good(struct world *w, const char *conditions, const char *shown)
{
    const char *arn = create(w, 77, arena_format(&test_arena, "%s" GONE, conditions));

    (void)where(w, shown);
    works(w, "Action=DeleteRule&RuleArn=%s", arn);
}

static const char *
times(char c, int count)
{
    char *text = arena_alloc(&test_arena, (size_t)count + 1);

    memset(text, c, (size_t)count);
    return text;
}

#define VALUES(config, values) OF config "Config.Values.member.1=" values
#define REGEX CONDITION "path-pattern" OF "RegexValues.member.1="
#define PATHS_CONFIG CONDITION "path-pattern" VALUES("PathPattern", "/a")

TEST(conditions_are_shown_as_aws_shows_them)
{
    cleanup(world_done) struct world w;

    prepare_listener(&w);
    good(&w, CONDITION "host-header" VALUES("HostHeader", "*.Example.com"),
         "<Field>host-header</Field><Values><member>*.Example.com</member></Values><HostHeaderConfig><Values>"
         "<member>*.Example.com</member></Values></HostHeaderConfig>");
    good(&w, CONDITION "path-pattern" VALUES("PathPattern", "/img/*?.jpg"), "<PathPatternConfig>");
    good(&w, CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=X-Key" VALUES("HttpHeader", "a b"),
         "<Field>http-header</Field><HttpHeaderConfig><HttpHeaderName>X-Key</HttpHeaderName><Values>"
         "<member>a b</member></Values></HttpHeaderConfig>");
    good(&w, CONDITION "http-request-method" VALUES("HttpRequestMethod", "GET"),
         "<HttpRequestMethodConfig><Values><member>GET</member></Values></HttpRequestMethodConfig>");
    good(&w, CONDITION "query-string" OF "QueryStringConfig.Values.member.1.Key=k" OF
             "QueryStringConfig.Values.member.1.Value=v" OF "QueryStringConfig.Values.member.2.Value=w",
         "<QueryStringConfig><Values><member><Key>k</Key><Value>v</Value></member><member><Value>w</Value></member>");
    good(&w, CONDITION "source-ip" VALUES("SourceIp", "10.0.0.0/8"), "<SourceIpConfig><Values><member>10.0.0.0/8<");
    good(&w, CONDITION "source-ip" VALUES("SourceIp", "2001:db8::/32"), "2001:db8::/32");
    good(&w, CONDITION "path-pattern" OF "Values.member.1=/1" OF "Values.member.2=/2" OF "Values.member.3=/3" OF
             "Values.member.4=/4" OF "Values.member.5=/5", "/5");
    good(&w, arena_format(&test_arena, PATH "%s", times('a', 128)), "aaaa");
    good(&w, PATH "******", "******");
    good(&w, PATH "******\\*", "******\\*");
    good(&w, REGEX "^/v(1|2)/.*$",
         "<RegexValues><member>^/v(1|2)/.*$</member></RegexValues><PathPatternConfig><RegexValues><member>^/v(1|2)/.*$<");
    good(&w, CONDITION "host-header" OF "HostHeaderConfig.RegexValues.member.1=^[a-z-]%2B%5C.example%5C.com$",
         "<HostHeaderConfig><RegexValues><member>^[a-z-]+\\.example\\.com$</member></RegexValues></HostHeaderConfig>");
    good(&w, CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=X-A" OF "HttpHeaderConfig.RegexValues.member.1=a b",
         "<Field>http-header</Field><HttpHeaderConfig><HttpHeaderName>X-A</HttpHeaderName><RegexValues><member>a b<");
    good(&w, arena_format(&test_arena, REGEX "%s", times('a', 128)), "aaaa");
    good(&w, REGEX "(a|b)%2Bx$" OF "RegexValues.member.2=(a|b)%2By$" OF "RegexValues.member.3=^(a|b)%2B$", "(a|b)+y$");
    good(&w, CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=User-Agent" OF
             "HttpHeaderConfig.RegexValues.member.1=(bot|spider)/[0-9.]*", "spider");
}

TEST(conditions_are_checked)
{
    cleanup(world_done) struct world w;

    prepare_listener(&w);
    bad(&w, "ValidationError", "", "");
    bad(&w, "ValidationError", "at least one condition", "&Conditions=");
    bad(&w, "ValidationError", "must be one of", CONDITION "cookie" OF "Values.member.1=a");
    bad(&w, "ValidationError", "must be one of", OF "Values.member.1=a");
    bad(&w, "ValidationError", "must be specified", CONDITION "path-pattern");
    bad(&w, "ValidationError", "must be specified", CONDITION "path-pattern" OF "Values.member.1=");
    bad(&w, "ValidationError", "both", CONDITION "path-pattern" OF "Values.member.1=/" VALUES("PathPattern", "/"));
    bad(&w, "ValidationError", "does not belong", CONDITION "path-pattern" VALUES("HostHeader", "a"));
    bad(&w, "ValidationError", "not Values", CONDITION "source-ip" OF "Values.member.1=10.0.0.0/8");
    bad(&w, "ValidationError", "too long", arena_format(&test_arena, PATH "%s", times('a', 129)));
    bad(&w, "ValidationError", "not valid", PATH "/a%20b");
    bad(&w, "ValidationError", "not valid", PATH "/%C3%A9");
    bad(&w, "ValidationError", "not valid", CONDITION "host-header" VALUES("HostHeader", "a:80"));
    bad(&w, "ValidationError", "not valid", CONDITION "http-request-method" VALUES("HttpRequestMethod", "get"));
    bad(&w, "ValidationError", "too long",
        arena_format(&test_arena, CONDITION "http-request-method" VALUES("HttpRequestMethod", "%s"), times('A', 41)));
    bad(&w, "ValidationError", "CIDR", CONDITION "source-ip" VALUES("SourceIp", "10.0.0.1"));
    bad(&w, "ValidationError", "CIDR", CONDITION "source-ip" VALUES("SourceIp", "10.0.0.0/33"));
    bad(&w, "ValidationError", "HttpHeaderName must", CONDITION "http-header" VALUES("HttpHeader", "a"));
    bad(&w, "ValidationError", "host-header",
        CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=HOST" VALUES("HttpHeader", "a"));
    bad(&w, "ValidationError", "too long",
        arena_format(&test_arena, CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=%s" VALUES("HttpHeader", "a"),
                     times('a', 41)));
    bad(&w, "ValidationError", "not valid",
        CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=a%3Ab" VALUES("HttpHeader", "a"));
    bad(&w, "ValidationError", "not valid",
        CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=a" VALUES("HttpHeader", "a%0Ab"));
    bad(&w, "ValidationError", "must be specified", CONDITION "query-string" OF "QueryStringConfig.Values.member.1.Key=k");
    bad(&w, "ValidationError", "'5' condition values",
        PATH "/1" OF "Values.member.2=/2" OF "Values.member.3=/3" OF "Values.member.4=/4" OF "Values.member.5=/5"
        "&Conditions.member.2.Field=host-header&Conditions.member.2.Values.member.1=a");
    bad(&w, "ValidationError", "'6' condition wildcards", PATH "/*******");
    bad(&w, "ValidationError", "only have one 'path-pattern'",
        PATH "/1&Conditions.member.2.Field=path-pattern&Conditions.member.2.Values.member.1=/2");
    bad(&w, "ValidationError", "both RegexValues and PathPatternConfig",
        PATHS_CONFIG OF "RegexValues.member.1=a");
    bad(&w, "ValidationError", "both Values and RegexValues", PATHS_CONFIG OF "PathPatternConfig.RegexValues.member.1=a");
    bad(&w, "ValidationError", "can only be specified", CONDITION "http-request-method" OF "RegexValues.member.1=a");
    bad(&w, "ValidationError", "must use HttpHeaderConfig", CONDITION "http-header" OF "RegexValues.member.1=a");
    bad(&w, "ValidationError", "lacks a ')'", REGEX "%2F(");
    bad(&w, "ValidationError", "look-around", REGEX "(?=a)");
    bad(&w, "ValidationError", "back references", REGEX "(a)%5C1");
    bad(&w, "ValidationError", "could take too long", REGEX "^(a%2B)%2B$");
    bad(&w, "ValidationError", "not valid", REGEX "a%0Ab");
    bad(&w, "ValidationError", "a quantifier behind", REGEX "^%2Ba");
    bad(&w, "ValidationError", "is too large", REGEX "(ab){1000}");
    bad(&w, "ValidationError", "is too large", REGEX "((a{100}){50}){50}");
    bad(&w, "ValidationError", "could take too long for an http-header",
        CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=X-A" OF "HttpHeaderConfig.RegexValues.member.1=(a|b)%2Bx$");
    bad(&w, "ValidationError", "too large together",
        arena_format(&test_arena, CONDITION "http-header" OF "HttpHeaderConfig.HttpHeaderName=%s" OF
                     "HttpHeaderConfig.RegexValues.member.1=%s", times('a', 40), times('^', 60)));
    bad(&w, "ValidationError", "must be specified", REGEX "");
    bad(&w, "ValidationError", "too long", arena_format(&test_arena, REGEX "%s", times('a', 129)));
    bad(&w, "ValidationError", "'5' condition values",
        REGEX "1" OF "RegexValues.member.2=2" OF "RegexValues.member.3=3" OF "RegexValues.member.4=4" OF
        "RegexValues.member.5=5&Conditions.member.2.Field=host-header&Conditions.member.2.Values.member.1=a");
}

TEST(a_listener_has_few_expressions_that_are_slow)
{
    cleanup(world_done) struct world w;
    char arn[ARN_SIZE];

    prepare_listener(&w);
    for (int i = 0; i < 3; i++)
        text_copy(arn, sizeof(arn), str_of(create(&w, 10 + i, REGEX "(a|b)%2Bx$" OF "RegexValues.member.2=[a-c]%2Bd" OF
                                                  "RegexValues.member.3=^/a" GONE)));
    refused(&w, "ValidationError", "can have '6' regular expressions in naru whose time grows",
            "Action=CreateRule&ListenerArn=%s&Priority=77" REGEX "[a-c]%%2Bd" GONE, w.core->listeners->arn);
    works(&w, "Action=ModifyRule&RuleArn=%s" REGEX "[a-c]%%2Be" OF "RegexValues.member.2=[a-c]%%2Bf", arn);
    refused(&w, "ValidationError", "'6' regular", "Action=ModifyRule&RuleArn=%s" REGEX "[a-c]%%2Be" OF
            "RegexValues.member.2=[a-c]%%2Bf" OF "RegexValues.member.3=[a-c]%%2Bg", arn);
    works(&w, "Action=ModifyRule&RuleArn=%s" REGEX "[a-c]%%2Be", arn);
    (void)create(&w, 77, REGEX "[a-c]%2Bd" GONE);
}

/* ---- transforms ---- */

#define REWRITE(n, type, config, regex, replace)                                                      \
    "&Transforms.member." n ".Type=" type "&Transforms.member." n "." config "RewriteConfig.Rewrites." \
    "member.1.Regex=" regex "&Transforms.member." n "." config "RewriteConfig.Rewrites.member.1.Replace=" replace
#define URL(regex, replace) PATH "/a" REWRITE("1", "url-rewrite", "Url", regex, replace)

TEST(transforms_are_shown_as_they_were_given)
{
    cleanup(world_done) struct world w;

    prepare_listener(&w);
    good(&w, URL("^/dp/(.%2B)$", "/p?id=$1") REWRITE("2", "host-header-rewrite", "HostHeader", "a", ""),
         "<Transforms><member><Type>url-rewrite</Type><UrlRewriteConfig><Rewrites><member><Regex>^/dp/(.+)$</Regex>"
         "<Replace>/p?id=$1</Replace></member></Rewrites></UrlRewriteConfig></member><member><Type>host-header-rewrite");
    good(&w, PATH "/a", "<Transforms></Transforms>");
}

TEST(transforms_are_checked)
{
    cleanup(world_done) struct world w;

    prepare_listener(&w);
    bad(&w, "ValidationError", "lacks a ')'", URL("(", ""));
    bad(&w, "ValidationError", "a quantifier behind", URL("^*a", ""));
    bad(&w, "ValidationError", "is too large", URL("(){1000}", ""));
    bad(&w, "ValidationError", "could take too long", URL("(a*)*b", ""));
    bad(&w, "ValidationError", "must be specified", URL("", ""));
    bad(&w, "ValidationError", "'$2', which its Regex does not have", URL("(a)", "$2"));
    bad(&w, "ValidationError", "followed by a digit", URL("(a)", "$x"));
    bad(&w, "ValidationError", "followed by a digit", URL("(a)", "$0"));
    bad(&w, "ValidationError", "not valid", URL("a", "a b"));
    bad(&w, "ValidationError", "not valid", URL("a", "a%0Ab"));
    bad(&w, "ValidationError", "'7' capture groups", URL("(a)(b)(c)(d)(e)(f)(g)(h)", ""));
    bad(&w, "ValidationError", "too long", arena_format(&test_arena, URL("%s", ""), times('a', 1025)));
    bad(&w, "ValidationError", "too long", arena_format(&test_arena, URL("a", "%s"), times('a', 1025)));
    bad(&w, "ValidationError", "only have one 'url-rewrite'", URL("a", "b") REWRITE("2", "url-rewrite", "Url", "a", "b"));
    bad(&w, "ValidationError", "does not belong", PATH "/a" REWRITE("1", "url-rewrite", "HostHeader", "a", "b"));
    bad(&w, "ValidationError", "exactly one rewrite", PATH "/a&Transforms.member.1.Type=url-rewrite");
    bad(&w, "ValidationError", "exactly one rewrite",
        URL("a", "b") "&Transforms.member.1.UrlRewriteConfig.Rewrites.member.2.Regex=c"
                      "&Transforms.member.1.UrlRewriteConfig.Rewrites.member.2.Replace=d");
    bad(&w, "ValidationError", "host-header-rewrite", PATH "/a&Transforms.member.1.Type=body-rewrite");
}

TEST(transforms_stay_until_others_are_given_or_they_are_reset)
{
    cleanup(world_done) struct world w;
    const char *arn;

    prepare_listener(&w);
    arn = arena_format(&test_arena, "%s", create(&w, 5, URL("one", "two") GONE));
    works(&w, "Action=ModifyRule&RuleArn=%s" PATH "/other", arn);
    CHECK(says(&w, "/other") && says(&w, "<Regex>one</Regex>"));
    works(&w, "Action=ModifyRule&RuleArn=%s" REWRITE("1", "url-rewrite", "Url", "three", "four"), arn);
    CHECK(says(&w, "/other") && says(&w, "<Regex>three</Regex>") && !says(&w, "<Regex>one"));
    refused(&w, "ValidationError", "both Transforms and ResetTransforms",
            "Action=ModifyRule&RuleArn=%s&ResetTransforms=true" REWRITE("1", "url-rewrite", "Url", "a", "b"), arn);
    works(&w, "Action=ModifyRule&RuleArn=%s&ResetTransforms=true", arn);
    CHECK(says(&w, "/other") && says(&w, "<Transforms></Transforms>"));
}

TEST(several_conditions_of_a_kind_that_may_repeat)
{
    cleanup(world_done) struct world w;

    prepare_listener(&w);
    good(&w, "&Conditions.member.1.Field=http-header&Conditions.member.1.HttpHeaderConfig.HttpHeaderName=a"
             "&Conditions.member.1.HttpHeaderConfig.Values.member.1=1"
             "&Conditions.member.2.Field=http-header&Conditions.member.2.HttpHeaderConfig.HttpHeaderName=b"
             "&Conditions.member.2.HttpHeaderConfig.Values.member.1=2"
             "&Conditions.member.3.Field=query-string&Conditions.member.3.QueryStringConfig.Values.member.1.Value=3"
             "&Conditions.member.4.Field=query-string&Conditions.member.4.QueryStringConfig.Values.member.1.Value=4",
         "<Value>4</Value>");
}

/* ---- actions and limits ---- */

TEST(actions_that_are_not_built_are_refused_by_name)
{
    cleanup(world_done) struct world w;
    const char *l = prepare_listener(&w);
#define RULE "Action=CreateRule&ListenerArn=%s&Priority=1" PATH "/a"

    refused(&w, "InvalidLoadBalancerAction", "authenticate-cognito",
            RULE "&Actions.member.1.Type=authenticate-cognito&Actions.member.1.AuthenticateCognitoConfig.UserPoolArn=a"
                 "&Actions.member.1.AuthenticateCognitoConfig.UserPoolClientId=a"
                 "&Actions.member.1.AuthenticateCognitoConfig.UserPoolDomain=a", l);
    refused(&w, "InvalidLoadBalancerAction", "jwt-validation",
            RULE "&Actions.member.1.Type=jwt-validation&Actions.member.1.JwtValidationConfig.JwksEndpoint=a"
                 "&Actions.member.1.JwtValidationConfig.Issuer=a", l);
    refused(&w, "InvalidLoadBalancerAction", "'authenticate-oidc' are not built",
            RULE "&Actions.member.1.Type=authenticate-oidc&Actions.member.1.Order=1"
                 "&Actions.member.1.AuthenticateOidcConfig.Issuer=https://a"
                 "&Actions.member.1.AuthenticateOidcConfig.AuthorizationEndpoint=https://a/a"
                 "&Actions.member.1.AuthenticateOidcConfig.TokenEndpoint=https://a/t"
                 "&Actions.member.1.AuthenticateOidcConfig.UserInfoEndpoint=https://a/u"
                 "&Actions.member.1.AuthenticateOidcConfig.ClientId=a"
                 "&Actions.member.2.Type=forward&Actions.member.2.Order=2&Actions.member.2.TargetGroupArn=%s", l,
            tg_arn(&w));
    refused(&w, "InvalidLoadBalancerAction", "loop",
            RULE "&Actions.member.1.Type=redirect&Actions.member.1.RedirectConfig.StatusCode=HTTP_301"
                 "&Actions.member.1.RedirectConfig.Query=a%%3Db", l);
    refused(&w, "InvalidLoadBalancerAction", "exactly one",
            RULE "&Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn=%s"
                 "&Actions.member.2.Type=forward&Actions.member.2.TargetGroupArn=%s", l, tg_arn(&w), tg_arn(&w));
    refused(&w, "TargetGroupNotFound", "", RULE FORWARD "%sx", l, tg_arn(&w));
    refused(&w, "InvalidLoadBalancerAction", "loop",
            RULE "&Actions.member.1.Type=redirect&Actions.member.1.RedirectConfig.StatusCode=HTTP_301", l);
    refused(&w, "ListenerNotFound", "", "Action=CreateRule&ListenerArn=%sx&Priority=1" PATH "/a" GONE, l);
    refused(&w, "ValidationError", "", "Action=CreateRule&ListenerArn=%s&Priority=0" PATH "/a" GONE, l);
    refused(&w, "ValidationError", "", "Action=CreateRule&ListenerArn=%s&Priority=50001" PATH "/a" GONE, l);
    refused(&w, "ValidationError", "", "Action=CreateRule&ListenerArn=%s" PATH "/a" GONE, l);
    refused(&w, "ValidationError", "reserved", RULE GONE "&Tags.member.1.Key=aws:a", l);
    CHECK(w.core->rules == NULL);
    works(&w, RULE "&Actions.member.1.Type=forward&Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=%s"
                   "&Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=3"
                   "&Actions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn=%s"
                   "&Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight=7", l, tg_arn(&w), other_arn(&w));
    CHECK(says(&w, "<Weight>3</Weight>") && says(&w, "<Weight>7</Weight>"));
}

TEST(a_load_balancer_has_limits)
{
    cleanup(world_done) struct world w;
    const char *l = prepare_listener(&w);
    cleanup(strbuf_done) struct strbuf targets = {0};
    const struct rule *last;

    for (int i = 1; i <= 100; i++)
        create(&w, i, PATH "/a" GONE);
    refused(&w, "TooManyRules", "100", "Action=CreateRule&ListenerArn=%s&Priority=101" PATH "/a" GONE, l);
    works(&w, "Action=DeleteRule&RuleArn=%s", w.core->rules->arn);
    works(&w, "Action=CreateRule&ListenerArn=%s&Priority=101" PATH "/a" GONE, l);
    works(&w, "Action=DeleteRule&RuleArn=%s", w.core->rules->arn);
    /* 600 targets in each of two groups */
    for (int i = 0; i < 600; i++)
        strbuf_addf(&targets, "&Targets.member.%d.Id=10.0.%d.%d", i + 1, i / 250, i % 250);
    works(&w, "Action=RegisterTargets&TargetGroupArn=%s%s", tg_arn(&w), strbuf_cstr(&targets));
    works(&w, "Action=CreateRule&ListenerArn=%s&Priority=102" PATH "/a" FORWARD "%s", l, other_arn(&w));
    for (last = w.core->rules; last->next != NULL;)
        last = last->next;
    refused(&w, "TooManyTargets", "a load balancer", "Action=RegisterTargets&TargetGroupArn=%s%s", other_arn(&w),
            strbuf_cstr(&targets));
    works(&w, "Action=RegisterTargets&TargetGroupArn=%s%s", tg_arn(&w), strbuf_cstr(&targets)); /* no more */
    works(&w, "Action=DeleteRule&RuleArn=%s", last->arn);
    works(&w, "Action=RegisterTargets&TargetGroupArn=%s%s", other_arn(&w), strbuf_cstr(&targets));
    refused(&w, "TooManyTargets", "1000", "Action=CreateRule&ListenerArn=%s&Priority=102" PATH "/a" FORWARD "%s", l,
            other_arn(&w));
    works(&w, "Action=CreateRule&ListenerArn=%s&Priority=102" PATH "/a" FORWARD "%s", l, tg_arn(&w)); /* no more */
}

TEST(a_load_balancer_leads_to_a_hundred_groups)
{
    cleanup(world_done) struct world w;
    const char *l = prepare_listener(&w);
    int rules = 0;

    for (int i = 0; i < 100; i++)
        works(&w, "Action=CreateTargetGroup&Name=g%d&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip", i);
    for (const struct target_group *tg = w.core->target_groups; tg != NULL; tg = tg->next)
        if (tg->name[0] == 'g' && ++rules < 100)
            works(&w, "Action=CreateRule&ListenerArn=%s&Priority=%d" PATH "/a" FORWARD "%s", l, rules, tg->arn);
    refused(&w, "TooManyUniqueTargetGroupsPerLoadBalancer", "100",
            "Action=CreateRule&ListenerArn=%s&Priority=200" PATH "/a" FORWARD "%s", l, other_arn(&w));
    works(&w, "Action=ModifyRule&RuleArn=%s" FORWARD "%s", w.core->rules->arn, other_arn(&w)); /* instead of one */
}
