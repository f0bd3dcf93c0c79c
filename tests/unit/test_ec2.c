/* SPDX-License-Identifier: MIT */
/* VPCs, subnets and security groups through EC2's dialect of the Query protocol, over a real core.
 */
#include "api_world.h"

#include "core/core.h"

static struct arena test_arena; /* each test is a process */

static int
query(struct world *w, const char *form)
{
    return world_send(w, "ec2", "application/x-www-form-urlencoded; charset=utf-8", NULL,
                      arena_format(&test_arena, "Version=2016-11-15&%s", form));
}

static void
works_at(struct world *w, int line, const char *form)
{
    if (query(w, form) != 200)
        check_fail(__FILE__, line, "%s: %s", form, w->body);
}
#define works(w, ...) works_at(w, __LINE__, arena_format(&test_arena, __VA_ARGS__))

static void
refused_at(struct world *w, int line, const char *code, const char *text, const char *form)
{
    const int status = query(w, form);

    if (status == 200)
        check_fail(__FILE__, line, "%s works: %s", form, w->body);
    if (strstr(w->body, arena_format(&test_arena, "<Response><Errors><Error><Code>%s</Code>",
                                     code)) == NULL ||
        strstr(w->body, text) == NULL)
        check_fail(__FILE__, line, "%s: '%s' lacks %s or '%s'", form, w->body, code, text);
}
#define refused(w, code, text, ...) \
    refused_at(w, __LINE__, code, text, arena_format(&test_arena, __VA_ARGS__))

static bool
says(const struct world *w, const char *text)
{
    return strstr(w->body, text) != NULL;
}

/* What stands in the first element of that name. */
static const char *
element(const struct world *w, const char *name)
{
    const char *begin = strstr(w->body, arena_format(&test_arena, "<%s>", name));
    const char *end = begin != NULL ? strstr(begin, "</") : NULL;

    if (end == NULL)
        return "";
    begin += strlen(name) + 2;
    return arena_format(&test_arena, "%.*s", (int)(end - begin), begin);
}

static int
count(const struct world *w, const char *text)
{
    int n = 0;

    for (const char *p = w->body; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static const char *
make_vpc(struct world *w, const char *block)
{
    works(w, "Action=CreateVpc&CidrBlock=%s", block);
    return element(w, "vpcId");
}

static const char *
make_group(struct world *w, const char *name, const char *vpc)
{
    works(w, "Action=CreateSecurityGroup&GroupName=%s&GroupDescription=of+tests&VpcId=%s", name,
          vpc);
    return element(w, "groupId");
}

TEST(a_region_has_a_default_vpc_with_subnets_and_a_group)
{
    cleanup(world_done) struct world w;
    const char *vpc, *group;

    world_init(&w);
    works(&w, "Action=DescribeVpcs");
    CHECK(says(
        &w,
        "<DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>"));
    CHECK(says(&w, "<cidrBlock>172.31.0.0/16</cidrBlock>") &&
          says(&w, "<isDefault>true</isDefault>"));
    vpc = element(&w, "vpcId");
    CHECK_EQ(strlen(vpc), strlen("vpc-") + 17);
    works(&w, "Action=DescribeSubnets&Filter.1.Name=vpc-id&Filter.1.Value.1=%s", vpc);
    CHECK_EQ(count(&w, "<subnetId>"), 3);
    CHECK(says(&w, "<cidrBlock>172.31.32.0/20</cidrBlock>"));
    CHECK(says(&w, "<availableIpAddressCount>4091</availableIpAddressCount>"));
    works(&w, "Action=DescribeSecurityGroups");
    group = element(&w, "groupId");
    CHECK_EQ(count(&w, "<groupName>default</groupName>"), 1);
    /* from itself, and so from nobody else */
    CHECK_EQ(count(&w, arena_format(&test_arena, "<groups><item><groupId>%s</groupId>", group)), 1);
    /* Asked twice, it is the same; and so it is in a fresh naru. */
    works(&w, "Action=DescribeVpcs");
    CHECK_EQ(count(&w, "<vpcId>"), 1);
    world_done(&w);
    world_init(&w);
    works(&w, "Action=DescribeSecurityGroups");
    CHECK_TEXT(element(&w, "groupId"), group);
    CHECK_TEXT(element(&w, "vpcId"), vpc);
}

TEST(a_default_vpc_that_was_deleted_stays_away)
{
    cleanup(world_done) struct world w;
    const char *vpc;

    world_init(&w);
    works(&w, "Action=DescribeVpcs");
    vpc = element(&w, "vpcId");
    refused(&w, "DependencyViolation", "has dependencies", "Action=DeleteVpc&VpcId=%s", vpc);
    for (int i = 0; i < 3; i++) {
        works(&w, "Action=DescribeSubnets");
        works(&w, "Action=DeleteSubnet&SubnetId=%s", element(&w, "subnetId"));
    }
    works(&w, "Action=DeleteVpc&VpcId=%s", vpc);
    CHECK(says(&w, "<return>true</return>"));
    works(&w, "Action=DescribeVpcs");
    CHECK_EQ(count(&w, "<vpcId>"), 0);
    works(&w, "Action=DescribeSecurityGroups");
    CHECK_EQ(count(&w, "<groupId>"), 0);
    refused(&w, "VPCIdNotSpecified", "No default VPC",
            "Action=CreateSecurityGroup&GroupName=a&GroupDescription=b");
    refused(&w, "InvalidVpcID.NotFound", vpc, "Action=DescribeVpcs&VpcId.1=%s", vpc);
    core_check(w.core);
}

TEST(vpcs_and_subnets)
{
    cleanup(world_done) struct world w;
    const char *vpc, *subnet;

    world_init(&w);
    works(&w, "Action=CreateVpc&CidrBlock=10.1.2.3/16&TagSpecification.1.ResourceType=vpc"
              "&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=one");
    CHECK(says(&w, "<cidrBlock>10.1.0.0/16</cidrBlock>"));
    CHECK(says(&w, "<tagSet><item><key>Name</key><value>one</value></item></tagSet>"));
    vpc = element(&w, "vpcId");
    refused(&w, "MissingParameter", "cidrBlock", "Action=CreateVpc");
    refused(&w, "InvalidParameterValue", "not a valid CIDR", "Action=CreateVpc&CidrBlock=ten");
    refused(&w, "InvalidVpc.Range", "invalid", "Action=CreateVpc&CidrBlock=10.0.0.0/8");
    refused(&w, "UnsupportedOperation", "Ipv6CidrBlock",
            "Action=CreateVpc&CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true");
    refused(&w, "UnsupportedOperation", "InstanceTenancy",
            "Action=CreateVpc&CidrBlock=10.0.0.0/16&InstanceTenancy=dedicated");
    refused(&w, "UnknownParameter", "Color", "Action=CreateVpc&CidrBlock=10.0.0.0/16&Color=red");
    works(&w, "Action=CreateSubnet&VpcId=%s&CidrBlock=10.1.16.0/20", vpc);
    subnet = element(&w, "subnetId");
    CHECK(strncmp(subnet, "subnet-", 7) == 0 && strlen(subnet) == 24);
    refused(&w, "InvalidSubnet.Conflict", "conflicts",
            "Action=CreateSubnet&VpcId=%s&CidrBlock=10.1.17.0/24", vpc);
    refused(&w, "InvalidSubnet.Range", "10.2.0.0/24",
            "Action=CreateSubnet&VpcId=%s&CidrBlock=10.2.0.0/24", vpc);
    refused(&w, "InvalidSubnet.Range", "10.1.0.0/29",
            "Action=CreateSubnet&VpcId=%s&CidrBlock=10.1.0.0/29", vpc);
    refused(&w, "InvalidParameterValue", "availability zones",
            "Action=CreateSubnet&VpcId=%s&CidrBlock=10.1.0.0/24&AvailabilityZone=mars-1a", vpc);
    refused(&w, "InvalidVpcID.NotFound", "vpc-1",
            "Action=CreateSubnet&VpcId=vpc-1&CidrBlock=10.1.0.0/24");
    refused(&w, "MissingParameter", "VpcId", "Action=CreateSubnet&CidrBlock=10.1.0.0/24");
    refused(&w, "DependencyViolation", vpc, "Action=DeleteVpc&VpcId=%s", vpc);
    refused(&w, "DryRunOperation", "would have succeeded",
            "Action=DeleteSubnet&SubnetId=%s&DryRun=true", subnet);
    works(&w, "Action=DeleteSubnet&SubnetId=%s", subnet);
    refused(&w, "InvalidSubnetID.NotFound", subnet, "Action=DeleteSubnet&SubnetId=%s", subnet);
    works(&w, "Action=DeleteVpc&VpcId=%s", vpc);
    refused(&w, "InvalidVpcID.NotFound", vpc, "Action=DeleteVpc&VpcId=%s", vpc);
    refused(&w, "UnsupportedOperation", "not built", "Action=DescribeInstances");
    refused(&w, "InvalidAction", "Dance", "Action=Dance");
}

TEST(filters_and_pages)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    for (int i = 0; i < 7; i++)
        make_vpc(&w, arena_format(&test_arena, "10.%d.0.0/16", i));
    works(&w, "Action=DescribeVpcs&Filter.1.Name=cidr&Filter.1.Value.1=10.*&Filter.2.Name=isDefault"
              "&Filter.2.Value.1=false");
    CHECK_EQ(count(&w, "<vpcId>"), 7);
    works(&w, "Action=DescribeVpcs&Filter.1.Name=cidr&Filter.1.Value.1=10.1.0.0/"
              "16&Filter.1.Value.2=10.?.0.0/16"
              "&Filter.2.Name=state&Filter.2.Value.1=pending");
    CHECK_EQ(count(&w, "<vpcId>"), 0);
    works(&w, "Action=DescribeVpcs&MaxResults=5");
    CHECK_EQ(count(&w, "<vpcId>"), 5);
    works(&w, "Action=DescribeVpcs&MaxResults=5&NextToken=%s", element(&w, "nextToken"));
    CHECK_EQ(count(&w, "<vpcId>"), 3);
    CHECK(!says(&w, "<nextToken>"));
    refused(&w, "InvalidParameterValue", "MaxResults", "Action=DescribeVpcs&MaxResults=4");
    refused(&w, "InvalidParameterCombination", "VpcIds",
            "Action=DescribeVpcs&MaxResults=5&VpcId.1=%s", w.core->networks->vpc_id);
    refused(&w, "InvalidParameterValue", "The filter 'color' is invalid",
            "Action=DescribeVpcs&Filter.1.Name=color&Filter.1.Value.1=red");
    refused(&w, "InvalidParameterValue", "no values", "Action=DescribeVpcs&Filter.1.Name=state");
    refused(&w, "InvalidParameterValue", "Name.N", "Action=DescribeVpcs&Filter.x.Name=state");
    works(&w, "Action=DescribeAvailabilityZones");
    CHECK_EQ(count(&w, "<zoneName>"), 3);
    CHECK(says(&w, "-az3</zoneId>"));
    refused(&w, "InvalidParameterValue", "mars",
            "Action=DescribeAvailabilityZones&ZoneName.1=mars");
}

TEST(security_groups)
{
    cleanup(world_done) struct world w;
    const char *vpc, *group;

    world_init(&w);
    vpc = make_vpc(&w, "10.0.0.0/16");
    group = make_group(&w, "web", vpc);
    CHECK(strncmp(group, "sg-", 3) == 0 && strlen(group) == 20);
    refused(&w, "InvalidGroup.Duplicate", "already exists for VPC",
            "Action=CreateSecurityGroup&GroupName=web&GroupDescription=b&VpcId=%s", vpc);
    refused(&w, "InvalidGroup.Reserved", "default",
            "Action=CreateSecurityGroup&GroupName=default&GroupDescription=b&VpcId=%s", vpc);
    refused(&w, "InvalidParameterValue", "sg-*",
            "Action=CreateSecurityGroup&GroupName=sg-web&GroupDescription=b&VpcId=%s", vpc);
    refused(&w, "InvalidParameterValue", "groupName",
            "Action=CreateSecurityGroup&GroupName=%%C3%%A9&GroupDescription=b&VpcId=%s", vpc);
    refused(&w, "MissingParameter", "GroupDescription", "Action=CreateSecurityGroup&GroupName=a");
    works(&w, "Action=DescribeSecurityGroups&GroupId.1=%s", group);
    CHECK(says(&w, "<groupName>web</groupName>") && says(&w, "<ipPermissions></ipPermissions>"));
    CHECK(says(&w, "<ipPermissionsEgress><item><ipProtocol>-1</ipProtocol>"));
    works(&w,
          "Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=we*&Filter.2."
          "Name=vpc-id"
          "&Filter.2.Value.1=%s",
          vpc);
    CHECK_TEXT(element(&w, "groupId"), group);
    refused(&w, "InvalidGroup.NotFound", "sg-0", "Action=DescribeSecurityGroups&GroupId.1=sg-0");
    refused(&w, "InvalidGroupId.Malformed", "expecting",
            "Action=DescribeSecurityGroups&GroupId.1=web");
    refused(&w, "InvalidGroup.NotFound", "in default VPC",
            "Action=DescribeSecurityGroups&GroupName.1=web");
    works(&w, "Action=DescribeSecurityGroups&GroupName.1=default");
    CHECK_EQ(count(&w, "<groupId>"), 2); /* itself, and in its rule */
    refused(&w, "CannotDelete", "default", "Action=DeleteSecurityGroup&GroupId=%s",
            element(&w, "groupId"));
    refused(&w, "MissingParameter", "groupId", "Action=DeleteSecurityGroup");
    refused(&w, "DependencyViolation", vpc, "Action=DeleteVpc&VpcId=%s", vpc);
    works(&w, "Action=DeleteSecurityGroup&GroupId=%s", group);
    works(&w, "Action=DeleteVpc&VpcId=%s", vpc);
    core_check(w.core);
}

TEST(permissions_come_and_go)
{
    cleanup(world_done) struct world w;
    const char *vpc, *group, *other, *rule;

    world_init(&w);
    vpc = make_vpc(&w, "10.0.0.0/16");
    group = make_group(&w, "web", vpc);
    other = make_group(&w, "other", vpc);
    works(&w,
          "Action=AuthorizeSecurityGroupIngress&GroupId=%s&IpPermissions.1.IpProtocol=tcp"
          "&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=81&IpPermissions.1.IpRanges.1."
          "CidrIp=10.1.2.3/8"
          "&IpPermissions.1.IpRanges.1.Description=office&IpPermissions.1.IpRanges.2.CidrIp=192.0."
          "2.1/32"
          "&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=2001:db8::1/32&IpPermissions.2.IpProtocol=-1"
          "&IpPermissions.2.Groups.1.GroupId=%s",
          group, other);
    CHECK_EQ(count(&w, "<securityGroupRuleId>sgr-"), 4);
    CHECK(says(&w, "<cidrIpv4>10.0.0.0/8</cidrIpv4><description>office</description>"));
    CHECK(says(&w, "<cidrIpv6>2001:db8::/32</cidrIpv6>"));
    rule = element(&w, "securityGroupRuleId");
    works(&w, "Action=DescribeSecurityGroups&GroupId.1=%s", group);
    CHECK_EQ(count(&w, "<ipProtocol>tcp</ipProtocol><fromPort>80</fromPort><toPort>81</toPort>"),
             1);
    CHECK(says(&w, arena_format(&test_arena, "<groups><item><groupId>%s</groupId>", other)));
    refused(&w, "InvalidPermission.Duplicate",
            "peer: 192.0.2.1/32, TCP, from port: 80, to port: 81, ALLOW",
            "Action=AuthorizeSecurityGroupIngress&GroupId=%s&IpProtocol=tcp&FromPort=80&ToPort=81"
            "&CidrIp=192.0.2.1/32",
            group);
    refused(&w, "DependencyViolation", other, "Action=DeleteSecurityGroup&GroupId=%s", other);
    works(&w, "Action=DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1=%s",
          group);
    CHECK_EQ(count(&w, "<isEgress>false</isEgress>"), 4);
    CHECK_EQ(count(&w, "<isEgress>true</isEgress>"), 1);
    works(&w, "Action=DescribeSecurityGroupRules&SecurityGroupRuleId.1=%s", rule);
    CHECK_EQ(count(&w, "<securityGroupRuleId>"), 1);
    refused(&w, "InvalidPermission.NotFound", "does not exist",
            "Action=RevokeSecurityGroupIngress&GroupId=%s&IpProtocol=tcp&FromPort=80&ToPort=80&"
            "CidrIp=10.0.0.0/8",
            group);
    refused(&w, "InvalidParameterCombination", "securityGroupRuleIds",
            "Action=RevokeSecurityGroupIngress&GroupId=%s&SecurityGroupRuleId.1=%s&IpProtocol=tcp"
            "&FromPort=80&ToPort=81&CidrIp=192.0.2.1/32",
            group, rule);
    works(&w, "Action=RevokeSecurityGroupIngress&GroupId=%s&SecurityGroupRuleId.1=%s", group, rule);
    refused(&w, "InvalidSecurityGroupRuleId.NotFound", rule,
            "Action=RevokeSecurityGroupIngress&GroupId=%s&SecurityGroupRuleId.1=%s", group, rule);
    works(&w,
          "Action=RevokeSecurityGroupIngress&GroupId=%s&IpPermissions.1.IpProtocol=-1"
          "&IpPermissions.1.Groups.1.GroupId=%s",
          group, other);
    works(&w, "Action=DeleteSecurityGroup&GroupId=%s", other);
    works(&w, "Action=DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1=%s",
          group);
    CHECK_EQ(count(&w, "<isEgress>false</isEgress>"), 2);
}

TEST(in_a_default_vpc_unknown_permissions_are_told)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    works(&w,
          "Action=RevokeSecurityGroupIngress&GroupName=default&IpProtocol=tcp&FromPort=1&ToPort=2"
          "&CidrIp=10.0.0.0/8");
    CHECK(says(&w, "<unknownIpPermissionSet><item><ipProtocol>tcp</ipProtocol>"));
    works(&w, "Action=DescribeSecurityGroups");
    CHECK_EQ(count(&w, "<groups><item>"), 1);
}

TEST(permissions_that_say_nothing_clear_are_refused)
{
    cleanup(world_done) struct world w;
    static const struct {
        const char *code, *text, *form;
    } rows[] = {
        {"MissingParameter", "ipPermissions", ""},
        {"MissingParameter", "ipProtocol", "&CidrIp=10.0.0.0/8"},
        {"InvalidParameterValue", "both from and to", "&IpProtocol=tcp&CidrIp=10.0.0.0/8"},
        {"InvalidParameterValue", "'9-8'", "&IpProtocol=tcp&FromPort=9&ToPort=8&CidrIp=10.0.0.0/8"},
        {"InvalidParameterValue", "65536",
         "&IpProtocol=tcp&FromPort=9&ToPort=65536&CidrIp=10.0.0.0/8"},
        {"InvalidParameterValue", "Unknown protocol", "&IpProtocol=smoke&CidrIp=10.0.0.0/8"},
        {"InvalidParameterValue", "malformed", "&IpProtocol=-1&CidrIp=10.0.0.0"},
        {"InvalidParameterValue", "malformed", "&IpProtocol=-1&CidrIp=2001:db8::/32"},
        {"InvalidParameterValue", "ICMP", "&IpProtocol=icmp&CidrIp=10.0.0.0/8"},
        {"InvalidPermission.Malformed", "names no source", "&IpPermissions.1.IpProtocol=-1"},
        {"InvalidPrefixListID.NotFound", "pl-1",
         "&IpPermissions.1.IpProtocol=-1&IpPermissions.1.PrefixListIds.1.PrefixListId=pl-1"},
        {"InvalidGroup.NotFound", "sg-1",
         "&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId=sg-1"},
        {"InvalidParameterCombination", "ipPermissions",
         "&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/"
         "8&IpProtocol=tcp"},
        {"InvalidParameterCombination", "sourceSecurityGroupName",
         "&IpProtocol=-1&CidrIp=10.0.0.0/8&SourceSecurityGroupName=default"},
        {"InvalidParameterValue", "multiple times",
         "&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8"
         "&IpPermissions.1.IpRanges.2.CidrIp=10.1.0.0/8"},
        {"UnsupportedOperation", "Tags of the rules",
         "&IpProtocol=-1&CidrIp=10.0.0.0/8&TagSpecification.1.ResourceType=security-group-rule"},
    };

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        refused(&w, rows[i].code, rows[i].text,
                "Action=AuthorizeSecurityGroupIngress&GroupName=default%s", rows[i].form);
    for (int is_group = 0; is_group < 2; is_group++)
        refused(&w, "InvalidParameterValue", "255 characters",
                "Action=AuthorizeSecurityGroupIngress&GroupName=default"
                "&IpPermissions.1.IpProtocol=-1&IpPermissions.1.%s&IpPermissions.1.%s.1."
                "Description=%0256d",
                is_group ? "Groups.1.GroupName=default" : "IpRanges.1.CidrIp=10.0.0.0/8",
                is_group ? "Groups" : "IpRanges", 0);
    for (int i = 1; i < 60; i++)
        works(&w,
              "Action=AuthorizeSecurityGroupIngress&GroupName=default&IpProtocol=udp&FromPort=%d&"
              "ToPort=%d"
              "&CidrIp=10.0.0.0/8",
              i, i);
    refused(
        &w, "RulesPerSecurityGroupLimitExceeded", "maximum",
        "Action=AuthorizeSecurityGroupIngress&GroupName=default&IpProtocol=-1&CidrIp=10.0.0.0/8");
}

/* So many of one address each, every one with ports of its own, in one request. */
static const char *
many_rules(int rules)
{
    cleanup(strbuf_done) struct strbuf form = {0};

    for (int i = 1; i <= rules; i++)
        strbuf_addf(&form,
                    "&IpPermissions.%d.IpProtocol=tcp&IpPermissions.%d.FromPort=%d"
                    "&IpPermissions.%d.ToPort=%d&IpPermissions.%d.IpRanges.1.CidrIp=10.0.0.0/8",
                    i, i, i, i, i, i);
    return arena_format(&test_arena, "%s", strbuf_cstr(&form));
}

TEST(a_request_names_so_many_rules_and_no_more)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    works(&w, "Action=RevokeSecurityGroupIngress&GroupName=default%s", many_rules(1000));
    CHECK_EQ(count(&w, "<ipProtocol>tcp</ipProtocol>"), 1000);
    refused(&w, "InvalidParameterValue", "at most 1000 rules",
            "Action=RevokeSecurityGroupIngress&GroupName=default%s", many_rules(1001));
}

static void
elb(struct world *w, const char *form)
{
    CHECK_EQ(world_send(w, "elasticloadbalancing", "application/x-www-form-urlencoded", NULL, form),
             200);
}

static void
elb_refused(struct world *w, const char *code, const char *text, const char *form)
{
    CHECK_EQ(world_send(w, "elasticloadbalancing", "application/x-www-form-urlencoded", NULL, form), 400);
    CHECK(strstr(w->body, code) != NULL && strstr(w->body, text) != NULL);
}

static const char *
allowed(const struct world *w, int port)
{
    cleanup_json struct json *sources =
        core_allowed_sources(w->core, w->core->load_balancers, port);
    cleanup_free char *text = sources != NULL ? json_format(sources) : text_dup("everybody");

    return arena_format(&test_arena, "%s", text);
}

TEST(groups_decide_who_may_connect_to_a_load_balancer)
{
    cleanup(world_done) struct world w;
    const char *vpc, *web, *office, *subnet;

    world_init(&w);
    vpc = make_vpc(&w, "10.0.0.0/16");
    works(&w, "Action=CreateSubnet&VpcId=%s&CidrBlock=10.0.0.0/24&AvailabilityZone=eu-west-1c",
          vpc);
    subnet = element(&w, "subnetId");
    web = make_group(&w, "web", vpc);
    office = make_group(&w, "office", vpc);
    elb(&w, arena_format(
                &test_arena,
                "Action=CreateLoadBalancer&Name=lb&Subnets.member.1=%s&Subnets.member.2=subnet-b"
                "&SecurityGroups.member.1=sg-elsewhere",
                subnet));
    CHECK(says(&w, arena_format(&test_arena, "<VpcId>%s</VpcId>", vpc)));
    CHECK(says(&w, "<ZoneName>eu-west-1c</ZoneName>"));
    CHECK_TEXT(allowed(&w, 80), "everybody"); /* a group that nobody made here */
    elb(&w, arena_format(&test_arena, "Action=DeleteLoadBalancer&LoadBalancerArn=%s",
                         w.core->load_balancers->arn));
    elb(&w,
        arena_format(
            &test_arena,
            "Action=CreateLoadBalancer&Name=lb&Subnets.member.1=subnet-a&Subnets.member.2=subnet-b"
            "&SecurityGroups.member.1=%s&SecurityGroups.member.2=sg-elsewhere&SecurityGroups.member.3=%s",
            web, office));
    CHECK(says(&w, "<VpcId>vpc-00000000</VpcId>"));
    CHECK_TEXT(allowed(&w, 80), "[]"); /* as in AWS: a new group lets nobody in */
    works(&w,
          "Action=AuthorizeSecurityGroupIngress&GroupId=%s&IpPermissions.1.IpProtocol=tcp"
          "&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=81&IpPermissions.1.IpRanges.1."
          "CidrIp=0.0.0.0/0"
          "&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=::/0&IpPermissions.2.IpProtocol=udp"
          "&IpPermissions.2.FromPort=82&IpPermissions.2.ToPort=82&IpPermissions.2.IpRanges.1."
          "CidrIp=0.0.0.0/0",
          web);
    works(&w,
          "Action=AuthorizeSecurityGroupIngress&GroupId=%s&IpPermissions.1.IpProtocol=-1"
          "&IpPermissions.1.IpRanges.1.CidrIp=192.0.2.0/24&IpPermissions.2.IpProtocol=tcp"
          "&IpPermissions.2.FromPort=80&IpPermissions.2.ToPort=80&IpPermissions.2.IpRanges.1."
          "CidrIp=0.0.0.0/0"
          "&IpPermissions.3.IpProtocol=-1&IpPermissions.3.Groups.1.GroupId=%s",
          office, web);
    CHECK_TEXT(allowed(&w, 80), "[\"0.0.0.0/0\",\"::/0\",\"192.0.2.0/24\"]");
    CHECK_TEXT(allowed(&w, 81), "[\"0.0.0.0/0\",\"::/0\",\"192.0.2.0/24\"]");
    CHECK_TEXT(allowed(&w, 82), "[\"192.0.2.0/24\"]");
    refused(&w, "DependencyViolation", web, "Action=DeleteSecurityGroup&GroupId=%s", web);
}

TEST(a_load_balancer_is_in_one_vpc)
{
#define CREATE_LB "Action=CreateLoadBalancer&Name=lb&Subnets.member.1=%s&Subnets.member.2=%s&SecurityGroups.member.1=%s"
    cleanup(world_done) struct world w;
    const char *vpc, *other, *here, *there, *group, *stranger;

    world_init(&w);
    vpc = make_vpc(&w, "10.0.0.0/16");
    other = make_vpc(&w, "10.1.0.0/16");
    works(&w, "Action=CreateSubnet&VpcId=%s&CidrBlock=10.0.0.0/24&AvailabilityZone=eu-west-1a", vpc);
    here = element(&w, "subnetId");
    works(&w, "Action=CreateSubnet&VpcId=%s&CidrBlock=10.1.0.0/24&AvailabilityZone=eu-west-1b", other);
    there = element(&w, "subnetId");
    group = make_group(&w, "web", vpc);
    stranger = make_group(&w, "web", other);
    elb_refused(&w, "InvalidConfigurationRequest", "same VPC", arena_format(&test_arena, CREATE_LB, here, there, group));
    elb_refused(&w, "InvalidConfigurationRequest", "does not belong to VPC",
                arena_format(&test_arena, CREATE_LB, here, "subnet-b", stranger));
    elb(&w, arena_format(&test_arena, CREATE_LB, here, "subnet-b", group));
    elb_refused(&w, "InvalidConfigurationRequest", "does not belong to VPC",
                arena_format(&test_arena, "Action=SetSecurityGroups&LoadBalancerArn=%s&SecurityGroups.member.1=%s",
                             w.core->load_balancers->arn, stranger));
    elb_refused(&w, "InvalidConfigurationRequest", "same VPC",
                arena_format(&test_arena, "Action=SetSubnets&LoadBalancerArn=%s&Subnets.member.1=%s"
                             "&Subnets.member.2=subnet-b", w.core->load_balancers->arn, there));
    elb(&w, arena_format(&test_arena, "Action=SetSubnets&LoadBalancerArn=%s&Subnets.member.1=subnet-a"
                         "&Subnets.member.2=subnet-b", w.core->load_balancers->arn));
}

/* A group that goes away would be one that nobody made here: its load balancer would be open. */
TEST(a_vpc_stays_while_something_has_its_default_group)
{
    cleanup(world_done) struct world w;
    const char *vpc, *group, *other;

    world_init(&w);
    vpc = make_vpc(&w, "10.0.0.0/16");
    works(&w, "Action=DescribeSecurityGroups&Filter.1.Name=vpc-id&Filter.1.Value.1=%s", vpc);
    group = element(&w, "groupId");
    elb(&w, arena_format(
                &test_arena,
                "Action=CreateLoadBalancer&Name=lb&Subnets.member.1=subnet-a&Subnets.member.2=subnet-b"
                "&SecurityGroups.member.1=%s",
                group));
    CHECK_TEXT(allowed(&w, 80), "[]");
    refused(&w, "DependencyViolation", vpc, "Action=DeleteVpc&VpcId=%s", vpc);
    CHECK_TEXT(allowed(&w, 80), "[]");
    elb(&w, arena_format(&test_arena, "Action=DeleteLoadBalancer&LoadBalancerArn=%s",
                         w.core->load_balancers->arn));
    other = make_group(&w, "other", make_vpc(&w, "10.1.0.0/16"));
    works(&w,
          "Action=AuthorizeSecurityGroupIngress&GroupId=%s&IpPermissions.1.IpProtocol=-1"
          "&IpPermissions.1.Groups.1.GroupId=%s",
          other, group);
    refused(&w, "DependencyViolation", vpc, "Action=DeleteVpc&VpcId=%s", vpc);
    works(&w, "Action=DeleteSecurityGroup&GroupId=%s", other);
    works(&w, "Action=DeleteVpc&VpcId=%s", vpc);
    core_check(w.core);
}

TEST(tags)
{
    cleanup(world_done) struct world w;
    const char *vpc, *group;

    world_init(&w);
    vpc = make_vpc(&w, "10.0.0.0/16");
    group = make_group(&w, "web", vpc);
    works(&w,
          "Action=CreateTags&ResourceId.1=%s&ResourceId.2=%s&Tag.1.Key=team&Tag.1.Value=a&Tag.2."
          "Key=env"
          "&Tag.2.Value=test",
          vpc, group);
    CHECK(says(&w, "<return>true</return>"));
    works(&w, "Action=DescribeVpcs&Filter.1.Name=tag:team&Filter.1.Value.1=a");
    CHECK_TEXT(element(&w, "vpcId"), vpc);
    works(&w, "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=team");
    CHECK_EQ(count(&w, "<resourceId>"), 2);
    works(&w, "Action=DescribeTags&Filter.1.Name=resource-type&Filter.1.Value.1=security-group");
    CHECK_EQ(count(&w, "<value>"), 2);
    works(&w, "Action=DeleteTags&ResourceId.1=%s&Tag.1.Key=team&Tag.1.Value=other&Tag.2.Key=env",
          vpc);
    works(&w, "Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1=%s", vpc);
    CHECK(says(&w, "<key>team</key>") && !says(&w, "<key>env</key>"));
    works(&w, "Action=DeleteTags&ResourceId.1=%s", vpc);
    works(&w, "Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1=%s", vpc);
    CHECK_EQ(count(&w, "<key>"), 0);
    refused(&w, "InvalidID", "i-1", "Action=CreateTags&ResourceId.1=i-1&Tag.1.Key=a");
    refused(&w, "InvalidVpcID.NotFound", "vpc-1",
            "Action=CreateTags&ResourceId.1=vpc-1&Tag.1.Key=a");
    refused(&w, "InvalidParameterValue", "reserved",
            "Action=CreateTags&ResourceId.1=%s&Tag.1.Key=aws:a", vpc);
    refused(&w, "InvalidParameterValue", "Duplicate",
            "Action=CreateTags&ResourceId.1=%s&Tag.1.Key=a&Tag.2.Key=a", vpc);
    refused(&w, "InvalidParameterValue", "127 characters",
            "Action=CreateTags&ResourceId.1=%s&Tag.1.Key=%0128d", vpc, 0);
    refused(&w, "InvalidParameterValue", "at most 256",
            "Action=CreateTags&ResourceId.1=%s&Tag.1.Key=a&Tag.1.Value=%0257d", vpc, 0);
    works(&w, "Action=CreateTags&ResourceId.1=%s&Tag.1.Key=%%C3%%A9%0126d&Tag.1.Value=%0256d", vpc,
          0, 0);
    refused(&w, "MissingParameter", "Tag", "Action=CreateTags&ResourceId.1=%s", vpc);
}
