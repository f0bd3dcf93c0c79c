/* SPDX-License-Identifier: MIT */
#include "cli/xml.h"

#include <stdlib.h>

#define DEPTH_MAX 32

struct reader {
    struct str text;
    size_t at;
    int depth;
    struct err *err;
};

enum member_kind { MEMBER_TEXT, MEMBER_INTEGER, MEMBER_BOOLEAN, MEMBER_LIST, MEMBER_OBJECT };

static const struct {
    const char *name;
    enum member_kind kind;
} members[] = {
    {"DurationSeconds", MEMBER_INTEGER},
    {"HealthCheckIntervalSeconds", MEMBER_INTEGER},
    {"HealthCheckTimeoutSeconds", MEMBER_INTEGER},
    {"HealthyThresholdCount", MEMBER_INTEGER},
    {"Order", MEMBER_INTEGER},
    {"UnhealthyThresholdCount", MEMBER_INTEGER},
    {"Weight", MEMBER_INTEGER},
    {"NumberOfCaCertificates", MEMBER_INTEGER},
    {"NumberOfRevokedEntries", MEMBER_INTEGER},
    {"RevocationId", MEMBER_INTEGER},
    {"TotalRevokedEntries", MEMBER_INTEGER},
    {"Port", MEMBER_INTEGER},
    {"SessionTimeout", MEMBER_INTEGER},
    {"PackedPolicySize", MEMBER_INTEGER},
    {"Enabled", MEMBER_BOOLEAN},
    {"HealthCheckEnabled", MEMBER_BOOLEAN},
    {"IsDefault", MEMBER_BOOLEAN},
    {"IgnoreClientCertificateExpiry", MEMBER_BOOLEAN},
    {"UseExistingClientSecret", MEMBER_BOOLEAN},
    {"Actions", MEMBER_LIST},
    {"Attributes", MEMBER_LIST},
    {"AvailabilityZones", MEMBER_LIST},
    {"Certificates", MEMBER_LIST},
    {"Ciphers", MEMBER_LIST},
    {"Conditions", MEMBER_LIST},
    {"DefaultActions", MEMBER_LIST},
    {"Limits", MEMBER_LIST},
    {"Listeners", MEMBER_LIST},
    {"LoadBalancerAddresses", MEMBER_LIST},
    {"LoadBalancers", MEMBER_LIST},
    {"Rules", MEMBER_LIST},
    {"SslPolicies", MEMBER_LIST},
    {"TagDescriptions", MEMBER_LIST},
    {"Tags", MEMBER_LIST},
    {"TargetGroups", MEMBER_LIST},
    {"TargetHealthDescriptions", MEMBER_LIST},
    {"TrustStoreAssociations", MEMBER_LIST},
    {"TrustStoreRevocations", MEMBER_LIST},
    {"TrustStores", MEMBER_LIST},
    {"AlpnPolicy", MEMBER_LIST},
    {"LoadBalancerArns", MEMBER_LIST},
    {"SecurityGroups", MEMBER_LIST},
    {"SslProtocols", MEMBER_LIST},
    {"Values", MEMBER_LIST},
    {"ForwardConfig", MEMBER_OBJECT},
    {"Matcher", MEMBER_OBJECT},
    {"MutualAuthentication", MEMBER_OBJECT},
    {"TargetGroupStickinessConfig", MEMBER_OBJECT},
    {"ResponseMetadata", MEMBER_OBJECT},
    /* EC2's */
    {"availableIpAddressCount", MEMBER_INTEGER},
    {"fromPort", MEMBER_INTEGER},
    {"toPort", MEMBER_INTEGER},
    {"assignIpv6AddressOnCreation", MEMBER_BOOLEAN},
    {"defaultForAz", MEMBER_BOOLEAN},
    {"isDefault", MEMBER_BOOLEAN},
    {"isEgress", MEMBER_BOOLEAN},
    {"mapPublicIpOnLaunch", MEMBER_BOOLEAN},
    {"return", MEMBER_BOOLEAN},
    {"availabilityZoneInfo", MEMBER_LIST},
    {"groups", MEMBER_LIST},
    {"ipPermissions", MEMBER_LIST},
    {"ipPermissionsEgress", MEMBER_LIST},
    {"ipRanges", MEMBER_LIST},
    {"ipv6Ranges", MEMBER_LIST},
    {"prefixListIds", MEMBER_LIST},
    {"securityGroupInfo", MEMBER_LIST},
};

static struct json *parse_element(struct reader *r, struct str parent, struct str *name_out);

static enum member_kind
kind_of(struct str parent, struct str name)
{
    if (str_is(parent, "RedirectConfig")) /* its Port may be "#{port}" */
        return MEMBER_TEXT;
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        if (str_is(name, members[i].name))
            return members[i].kind;
    if (str_ends(name, STR("Set")))
        return MEMBER_LIST;
    return str_ends(name, STR("Result")) ? MEMBER_OBJECT : MEMBER_TEXT;
}

static bool
broken(struct reader *r, const char *what)
{
    return err_set(r->err, ERR_SERIALIZATION, "the answer is not XML: %s at byte %zu", what, r->at);
}

static bool
at_text(const struct reader *r, const char *text)
{
    return str_starts(str_slice(r->text, r->at, r->text.len), str_of(text));
}

static bool
skip_past(struct reader *r, const char *end)
{
    const ptrdiff_t found = str_find(str_slice(r->text, r->at, r->text.len), str_of(end));

    if (found < 0)
        return broken(r, "something is not closed");
    r->at += (size_t)found + strlen(end);
    return true;
}

/* Blanks, <?..?> and comments. */
static bool
skip_noise(struct reader *r)
{
    for (;;) {
        while (r->at < r->text.len && strchr(" \t\r\n", r->text.at[r->at]) != NULL)
            r->at++;
        if (at_text(r, "<?")) {
            if (!skip_past(r, "?>"))
                return false;
        } else if (at_text(r, "<!--")) {
            if (!skip_past(r, "-->"))
                return false;
        } else {
            return true;
        }
    }
}

struct json *
xml_to_json(struct str text, struct err *err)
{
    struct reader r = {.text = text, .err = err};
    struct json *root;
    struct str name;

    if (!skip_noise(&r))
        return NULL;
    root = parse_element(&r, (struct str){0}, &name);
    if (root == NULL)
        return NULL;
    if (!skip_noise(&r) || r.at < text.len) {
        json_unref(root);
        broken(&r, "something stands behind the root");
        return NULL;
    }
    return root;
}

static bool
add_entity(struct reader *r, struct strbuf *out)
{
    static const struct {
        const char *name;
        char sign;
    } entities[] = {
        {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char digits[12];
    char *end;
    long code;
    ptrdiff_t stop;

    for (size_t i = 0; i < ARRAY_COUNT(entities); i++) {
        if (at_text(r, entities[i].name)) {
            strbuf_add_char(out, entities[i].sign);
            r->at += strlen(entities[i].name);
            return true;
        }
    }
    stop = str_index(str_slice(r->text, r->at, r->at + sizeof(digits)), ';');
    if (!at_text(r, "&#") || stop < 3)
        return broken(r, "an unknown entity");
    text_copy(digits, sizeof(digits), str_slice(r->text, r->at + 2, r->at + (size_t)stop));
    code = digits[0] == 'x' ? strtol(digits + 1, &end, 16) : strtol(digits, &end, 10);
    if (*end != '\0' || code <= 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return broken(r, "a bad character reference");
    strbuf_add_utf8(out, (unsigned)code);
    r->at += (size_t)stop + 1;
    return true;
}

static struct json *
scalar(struct str parent, struct str name, const struct strbuf *text)
{
    int64_t number;

    switch (kind_of(parent, name)) {
    case MEMBER_INTEGER:
        if (str_to_i64(strbuf_str(text), &number))
            return json_int(number);
        break;
    case MEMBER_BOOLEAN:
        return json_bool(str_is(strbuf_str(text), "true"));
    case MEMBER_LIST:
        if (str_trim(strbuf_str(text)).len == 0)
            return json_array();
        break;
    case MEMBER_OBJECT:
        if (str_trim(strbuf_str(text)).len == 0)
            return json_object();
        break;
    case MEMBER_TEXT:
        break;
    }
    return json_str(strbuf_str(text));
}

/* What stands between <name> and </name>. */
static struct json *
parse_content(struct reader *r, struct str parent, struct str name)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *children = NULL;

    while (r->at < r->text.len) {
        if (at_text(r, "</"))
            return children != NULL ? TAKE(children) : scalar(parent, name, &text);
        if (at_text(r, "<!--")) {
            if (!skip_past(r, "-->"))
                return NULL;
        } else if (r->text.at[r->at] == '<') {
            struct str child_name;
            struct json *child = parse_element(r, name, &child_name);
            cleanup_free char *key = NULL;

            if (child == NULL)
                return NULL;
            if (children == NULL)
                children = str_is(child_name, "member") || str_is(child_name, "item") ? json_array() : json_object();
            key = str_dup(child_name);
            if (json_type(children) == JSON_ARRAY)
                json_append(children, child);
            else
                json_set(children, key, child);
        } else if (r->text.at[r->at] == '&') {
            if (!add_entity(r, &text))
                return NULL;
        } else {
            strbuf_add_char(&text, r->text.at[r->at++]);
        }
    }
    broken(r, "an element is not closed");
    return NULL;
}

static struct json *
parse_element(struct reader *r, struct str parent, struct str *name_out)
{
    struct json *content;
    size_t begin, end;
    struct str name;

    if (!at_text(r, "<") || ++r->depth > DEPTH_MAX) {
        broken(r, r->depth > DEPTH_MAX ? "nested too deeply" : "an element was expected");
        return NULL;
    }
    begin = ++r->at;
    while (r->at < r->text.len && strchr(" \t\r\n/>", r->text.at[r->at]) == NULL)
        r->at++;
    name = str_slice(r->text, begin, r->at);
    if (name.len == 0 || name.at[0] == '!' || !skip_past(r, ">")) {
        broken(r, "a tag");
        return NULL;
    }
    end = r->at;
    r->depth--;
    *name_out = name;
    if (r->text.at[end - 2] == '/') {
        const struct strbuf empty = {0};

        return scalar(parent, name, &empty);
    }
    r->depth++;
    content = parse_content(r, parent, name);
    r->depth--;
    if (content == NULL)
        return NULL;
    r->at += 2; /* </ */
    if (!str_starts(str_slice(r->text, r->at, r->text.len), name) || !skip_past(r, ">")) {
        json_unref(content);
        broken(r, "an end tag does not match");
        return NULL;
    }
    *name_out = name;
    return content;
}
