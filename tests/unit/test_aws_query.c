/* SPDX-License-Identifier: MIT */
#include "api/protocol.h"

#include "check.h"

static const struct shape text = {.name = "Text", .type = SHAPE_STRING};
static const struct shape number = {.name = "Number", .type = SHAPE_INTEGER, .has_min = true, .min = 1};
static const struct shape truth = {.name = "Truth", .type = SHAPE_BOOLEAN};
static const struct shape real = {.name = "Real", .type = SHAPE_DOUBLE};
static const struct shape_member target_members[] = {{"Id", &text, true, NULL},
                                                     {"Port", &number, false, NULL}};
static const struct shape target = {
    .name = "Target", .type = SHAPE_STRUCTURE, .members = target_members, .member_count = 2};
static const struct shape_member list_members[] = {{"member", &target, false, NULL}};
static const struct shape targets = {
    .name = "Targets", .type = SHAPE_LIST, .members = list_members, .member_count = 1};
static const struct shape_member input_members[] = {{"Targets", &targets, false, NULL},
                                                    {"Enabled", &truth, false, NULL},
                                                    {"Weight", &real, false, NULL},
                                                    {"Target", &target, false, NULL}};
static const struct shape input = {
    .name = "Input", .type = SHAPE_STRUCTURE, .members = input_members, .member_count = 4};

/* The form as JSON text, or the error's message. */
static const char *
decode(const char *form)
{
    static char out[4096];
    struct err err = {0};
    struct query_form *tree = query_parse(str_of(form), &err);
    struct json *value = NULL;

    if (tree != NULL && query_decode(tree, &input, ERR_ELB_VALIDATION, &value, &err)) {
        char *json = json_format(value);
        snprintf(out, sizeof(out), "%s", json);
        free(json);
        json_unref(value);
    } else {
        snprintf(out, sizeof(out), "%s: %s", err_wire(err.code), err.message);
    }
    query_free(tree);
    return out;
}

TEST(members_become_nested_json_with_the_types_of_the_shape)
{
    CHECK_TEXT(decode("Action=X&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=80&Enabled=true"
                      "&Weight=0.5&Target.Id=a%20b+c&Unknown.member.1=x"),
               "{\"Targets\":[{\"Id\":\"10.0.0.1\",\"Port\":80}],\"Enabled\":true,\"Weight\":0.5,"
               "\"Target\":{\"Id\":\"a b c\"}}");
}

TEST(lists_may_have_gaps_any_order_and_be_explicitly_empty)
{
    CHECK_TEXT(decode("Targets.member.10.Id=j&Targets.member.2.Id=b"),
               "{\"Targets\":[{\"Id\":\"b\"},{\"Id\":\"j\"}]}");
    CHECK_TEXT(decode("Targets="), "{\"Targets\":[]}");
    CHECK_TEXT(decode("Targets=&Targets.member.1.Id=a"), "{\"Targets\":[{\"Id\":\"a\"}]}");
    CHECK_TEXT(decode(""), "{}");
}

TEST(what_does_not_fit_the_shape_is_named)
{
    CHECK_TEXT(decode("Targets.member.1.Port=many"),
               "ValidationError: 1 validation error detected: Value 'many' at "
               "'Targets.1.member.Port' failed to satisfy constraint: Member must be an integer");
    CHECK(strstr(decode("Enabled=yes"), "'Enabled'") != NULL);
    CHECK(strstr(decode("Weight=1.0x"), "a number") != NULL);
    CHECK(strstr(decode("Target.Port=99999999999"), "range of an integer") != NULL);
    CHECK(strstr(decode("Targets.member.x.Id=1"), "Name.member.N") != NULL);
    CHECK(strstr(decode("Targets.member.01.Id=1"), "Name.member.N") != NULL);
    CHECK(strstr(decode("Targets.1.Id=1"), "Name.member.N") != NULL);
    CHECK(strstr(decode("Target=x"), "structure") != NULL);
    CHECK(strstr(decode("Enabled.member.1=x"), "single value") != NULL);
}

static const struct shape_member ec2_members[] = {{"Targets", &targets, false, "Target"},
                                                  {"Id", &text, true, "ThatId"}};
static const struct shape ec2_input = {
    .name = "Input", .type = SHAPE_STRUCTURE, .members = ec2_members, .member_count = 2};

static const char *
decode_of_ec2(const char *form)
{
    static char out[4096];
    struct err err = {0};
    struct query_form *tree = query_parse(str_of(form), &err);
    struct json *value = NULL;

    if (tree != NULL && ec2_decode(tree, &ec2_input, ERR_EC2_INVALID_VALUE, &value, &err)) {
        cleanup_free char *json = json_format(value);
        snprintf(out, sizeof(out), "%s", json);
        json_unref(value);
    } else {
        snprintf(out, sizeof(out), "%s: %s", err_wire(err.code), err.message);
    }
    query_free(tree);
    return out;
}

TEST(ec2_has_lists_without_member_and_other_names)
{
    CHECK_TEXT(decode_of_ec2("Action=X&Version=Y&ThatId=i&Target.2.Id=b&Target.10.Id=j&Target.10.Port=80"),
               "{\"Targets\":[{\"Id\":\"b\"},{\"Id\":\"j\",\"Port\":80}],\"Id\":\"i\"}");
    CHECK_TEXT(decode_of_ec2("ThatId=i&Target=&X-Amz-Date=1"), "{\"Targets\":[],\"Id\":\"i\"}");
    CHECK_TEXT(decode_of_ec2("Target.1.Id=a"),
               "MissingParameter: The request must contain the parameter ThatId");
    CHECK_TEXT(decode_of_ec2("ThatId=i&Target.1.Port=1"),
               "MissingParameter: The request must contain the parameter Target.1.Id");
    CHECK_TEXT(decode_of_ec2("ThatId=i&Targets.1.Id=a"),
               "UnknownParameter: The parameter Targets is not recognized");
    CHECK_TEXT(decode_of_ec2("ThatId=i&Target.1.Id=a&Target.1.Action=b"),
               "UnknownParameter: The parameter Target.1.Action is not recognized");
    CHECK_TEXT(decode_of_ec2("ThatId=i&Target.1.Id=a&Target.1.Port=x"),
               "InvalidParameterValue: Value (x) for parameter Target.1.Port is invalid. It must be an integer");
    CHECK_TEXT(decode_of_ec2("ThatId=i&Target.member.1.Id=a"),
               "InvalidParameterValue: Value ((members)) for parameter Target is invalid. It must be a list: Name.N");
}

TEST(ec2_answers_have_no_result_element)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err;
    cleanup_json struct json *answer =
        json_parse(STR("{\"vpcSet\":[{\"vpcId\":\"a<b\",\"isDefault\":true}],\"tagSet\":[]}"), &err);

    ec2_write(&out, "Do", "http://ns/", answer, "id-1");
    CHECK_TEXT(strbuf_cstr(&out), "<DoResponse xmlns=\"http://ns/\"><requestId>id-1</requestId><vpcSet><item>"
                                  "<vpcId>a&lt;b</vpcId><isDefault>true</isDefault></item></vpcSet>"
                                  "<tagSet></tagSet></DoResponse>");
    strbuf_clear(&out);
    ec2_write_error(&out, "InvalidVpcID.NotFound", "no & no", "id-1");
    CHECK_TEXT(strbuf_cstr(&out), "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code>"
                                  "<Message>no &amp; no</Message></Error></Errors>"
                                  "<RequestID>id-1</RequestID></Response>");
}

TEST(malformed_forms_are_refused)
{
    cleanup(strbuf_done) struct strbuf many = {0}, deep = {0};

    CHECK(strstr(decode("A=%zz"), "malformed") != NULL);
    CHECK(strstr(decode("A=%00"), "malformed") != NULL);
    CHECK(strstr(decode("A..B=1"), "malformed") != NULL);
    CHECK(strstr(decode("A%ff.B=1"), "malformed") != NULL);
    CHECK(strstr(decode("=1"), "malformed") != NULL);
    CHECK(strstr(decode("Target.Id=a%c3"), "'Target.Id' is not UTF-8") != NULL);
    CHECK(strstr(decode("Target.Id=%c3%bc"), "{\"Target\":{\"Id\":\"ü\"}}") != NULL);
    CHECK(strstr(decode("A=1&A=2"), "malformed") != NULL);
    CHECK(strstr(decode("A=1&A.B=2"), "malformed") != NULL);
    for (int i = 0; i <= QUERY_PARAMETERS_MAX; i++)
        strbuf_addf(&many, "A%d=1&", i);
    CHECK(strstr(decode(strbuf_cstr(&many)), "more than 5000 parameters") != NULL);
    for (int i = 0; i < 40; i++)
        strbuf_add_cstr(&deep, "a.");
    strbuf_add_cstr(&deep, "b=1");
    CHECK(strstr(decode(strbuf_cstr(&deep)), "malformed") != NULL);
}

TEST(answers_are_xml_and_an_empty_result_keeps_its_element)
{
    cleanup(strbuf_done) struct strbuf out = {0}, empty = {0}, error = {0};
    struct err err = {0};
    struct json *answer =
        json_parse(STR("{\"Name\":\"a<b>&\\\"c\\\"\\u0001\",\"List\":[{\"N\":1},\"x\"],\"B\":false,"
                       "\"R\":0.25,\"Gone\":null,\"Empty\":[]}"), &err);

    query_write(&out, "Op", "http://ns/", answer, "id");
    CHECK_TEXT(strbuf_cstr(&out),
               "<OpResponse xmlns=\"http://ns/\"><OpResult><Name>a&lt;b&gt;&amp;&quot;c&quot;?</Name>"
               "<List><member><N>1</N></member><member>x</member></List><B>false</B><R>0.25</R>"
               "<Empty></Empty></OpResult><ResponseMetadata><RequestId>id</RequestId>"
               "</ResponseMetadata></OpResponse>");
    json_unref(answer);
    answer = json_object();
    query_write(&empty, "Op", "http://ns/", answer, "id");
    CHECK(strstr(strbuf_cstr(&empty), "<OpResult></OpResult>") != NULL);
    json_unref(answer);
    query_write_error(&error, "http://ns/", "TargetGroupNotFoundException", "no <x>", false, "id");
    CHECK_TEXT(strbuf_cstr(&error),
               "<ErrorResponse xmlns=\"http://ns/\"><Error><Type>Sender</Type><Code>TargetGroupNotFound"
               "</Code><Message>no &lt;x&gt;</Message></Error><RequestId>id</RequestId>"
               "</ErrorResponse>");
}

/* A text cut in the middle of a character, or one that a client spoilt: the XML must still be read. */
TEST(an_error_is_xml_whatever_its_text_holds)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    query_write_error(&out, "urn:x", "ValidationError", "\xc3\xbc <a> \xff \xef\xbf\xbf\x01 \xc3", false, "id");
    CHECK(strstr(strbuf_cstr(&out), "<Message>\xc3\xbc &lt;a&gt; ? ?? ?</Message>") != NULL);
}
