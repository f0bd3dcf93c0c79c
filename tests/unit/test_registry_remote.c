/* SPDX-License-Identifier: MIT */
/* Words of other registries: challenges, redirects, and the rules that lead to them. */
#include "check.h"

#include "registry/mirror/pull_through.h"

/* client-2 */
TEST(a_challenge_is_read_as_it_is_quoted)
{
    struct challenge c;

    CHECK(challenge_parse(
        STR("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
            "scope=\"repository:library/nginx:pull\""),
        &c));
    CHECK(c.is_bearer);
    CHECK_TEXT(c.realm, "https://auth.docker.io/token");
    CHECK_TEXT(c.service, "registry.docker.io");
    CHECK_TEXT(c.scope, "repository:library/nginx:pull");
    CHECK(
        challenge_parse(STR("bearer service=x , error=\"a,\\\"b\", realm=\"http://h/t?a=b\""), &c));
    CHECK_TEXT(c.realm, "http://h/t?a=b");
    CHECK_TEXT(c.service, "x");
    CHECK(challenge_parse(STR("Basic realm=\"x\""), &c) && !c.is_bearer);
    CHECK(!challenge_parse(STR("Bearer service=\"x\""), &c));
    CHECK(!challenge_parse(STR("Bearer realm=\"https://h"), &c));
    CHECK(!challenge_parse(STR("Bearer realm=\"file:///etc/passwd\""), &c));
    CHECK(!challenge_parse(STR("Bearer realm=\"https://a@b/\""), &c));
    CHECK(!challenge_parse(STR("Negotiate"), &c) && !challenge_parse(STR(""), &c));
}

static const char *
followed(const char *base, const char *location)
{
    static struct strbuf out;

    strbuf_clear(&out);
    return url_follow(str_of(base), str_of(location), &out) ? strbuf_cstr(&out) : "";
}

TEST(a_redirect_leads_to_a_place_of_http_and_never_out_of_https)
{
    CHECK_TEXT(followed("http://h:5000/v2/a", "/v2/b?x=1"), "http://h:5000/v2/b?x=1");
    CHECK_TEXT(followed("http://h/", "https://cdn/x"), "https://cdn/x");
    CHECK_TEXT(followed("https://h/", "https://cdn/x"), "https://cdn/x");
    CHECK_TEXT(followed("https://h/", "http://cdn/x"), "");
    CHECK_TEXT(followed("https://h/", "//cdn/x"), "");
    CHECK_TEXT(followed("https://h/", "file:///etc/passwd"), "");
    CHECK_TEXT(followed("https://h/", "https://u@cdn/x"), "");
    CHECK_TEXT(followed("https://h/", "/a b"), "");
    CHECK_TEXT(followed("https://h/", ""), "");
}

TEST(a_rule_names_a_registry_and_what_a_repository_is_called_there)
{
    struct pull_rule rule = {.prefix = "hub"};
    char url[600];
    struct err err = {0};

    CHECK(pull_url_read("registry-1.docker.io", url, sizeof url, &err));
    CHECK_TEXT(url, "https://registry-1.docker.io");
    CHECK_TEXT(pull_upstream_name(url), "docker-hub");
    CHECK(pull_url_read("https://my.azurecr.io/", url, sizeof url, &err));
    CHECK_TEXT(pull_upstream_name(url), "azure-container-registry");
    CHECK(pull_url_read("http://localhost:5000", url, sizeof url, &err));
    CHECK(pull_upstream_name(url) == NULL);
    CHECK(!pull_url_read("quay.io/x", url, sizeof url, &err));
    CHECK_EQ(err.code, ERR_UNSUPPORTED_UPSTREAM);
    CHECK(!pull_url_read("", url, sizeof url, &err) &&
          !pull_url_read("a b", url, sizeof url, &err));
    cleanup_free char *plain = pull_upstream_repository(&rule, "hub/library/nginx");
    CHECK_TEXT(plain, "library/nginx");
    text_copy_all(rule.upstream_prefix, sizeof rule.upstream_prefix, "library");
    cleanup_free char *below = pull_upstream_repository(&rule, "hub/nginx");
    CHECK_TEXT(below, "library/nginx");
    text_copy_all(rule.prefix, sizeof rule.prefix, "ROOT");
    cleanup_free char *root = pull_upstream_repository(&rule, "nginx");
    CHECK_TEXT(root, "library/nginx");
}
