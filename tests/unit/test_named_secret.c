/* SPDX-License-Identifier: MIT */
/* What a task definition's `valueFrom` stands for, and a credentialArn. */
#include "check.h"

#include <sys/stat.h>

#include "base/json.h"
#include "daemon/named_secret.h"
#include "daemon/upstream_secret.h"
#include "io/file.h"
#include "pipeline/secrets.h"

static void
keep(const char *directory, const char *id, const char *value)
{
    cleanup_json struct json *parsed = json_parse(str_of(value), NULL);
    struct err err = {0};

    CHECK(secrets_set(directory, id, parsed, "", &err));
}

static void
expect(const char *directory, const char *value_from, const char *want)
{
    struct err err = {0};
    cleanup_free char *got = named_secret(directory, value_from, &err);

    if (got == NULL || strcmp(got, want) != 0)
        check_fail(__FILE__, __LINE__, "%s: %s (%s), not %s", value_from, got != NULL ? got : "nothing", err.message, want);
}

static void
expect_none(const char *directory, const char *value_from, enum err_code code, const char *message)
{
    struct err err = {0};
    cleanup_free char *got = named_secret(directory, value_from, &err);

    if (got != NULL || err.code != code || strstr(err.message, message) == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s (%s)", value_from, got != NULL ? got : "nothing", err.message);
}

#define ASM "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
#define SSM "arn:aws:ssm:eu-west-1:123456789012:parameter/"

TEST(a_value_from_of_aws_finds_the_secret_of_that_name)
{
    char directory[] = "/tmp/naru-secret-XXXXXX";
    struct err err = {0};

    CHECK(mkdtemp(directory) != NULL);
    keep(directory, "prod/db", "{\"kind\":\"text\",\"text\":\"{\\\"user\\\":\\\"u\\\",\\\"port\\\":5432}\"}");
    keep(directory, "plain", "{\"kind\":\"text\",\"text\":\"a b=c\"}");
    keep(directory, "/slashed", "{\"kind\":\"text\",\"text\":\"s\"}");
    keep(directory, "like-Ab12Cd", "{\"kind\":\"text\",\"text\":\"its own\"}");
    keep(directory, "other", "{\"kind\":\"text\",\"text\":\"not asked for\"}");
    keep(directory, "login", "{\"kind\":\"password\",\"username\":\"u\",\"password\":\"p\"}");

    expect(directory, "plain", "a b=c");
    expect(directory, "/plain", "a b=c");
    expect(directory, "/slashed", "s");
    expect(directory, SSM "plain", "a b=c");
    expect(directory, SSM "prod/db", "{\"user\":\"u\",\"port\":5432}");
    expect(directory, ASM "plain", "a b=c");
    expect(directory, ASM "plain-Ab12Cd", "a b=c");
    expect(directory, ASM "like-Ab12Cd", "its own");
    expect(directory, ASM "prod/db-Ab12Cd:user::", "u");
    expect(directory, ASM "prod/db-Ab12Cd:port", "5432");
    expect(directory, ASM "prod/db-Ab12Cd:user:AWSCURRENT:", "u");
    expect(directory, ASM "login-Ab12Cd", "{\"username\":\"u\",\"password\":\"p\"}");
    expect(directory, ASM "login-Ab12Cd:password::", "p");

    expect_none(directory, ASM "none-Ab12Cd", ERR_RESOURCE_NOT_FOUND, "naru secret set none'");
    expect_none(directory, SSM "a/none", ERR_RESOURCE_NOT_FOUND, "naru secret set a/none'");
    /* the names of parameters have nothing behind them */
    expect_none(directory, "other-passwd", ERR_RESOURCE_NOT_FOUND, "naru secret set other-passwd'");
    expect_none(directory, SSM "other-passwd", ERR_RESOURCE_NOT_FOUND, "naru secret set other-passwd'");
    expect_none(directory, ASM "prod/db-Ab12Cd:none::", ERR_RESOURCE_NOT_FOUND, "the key 'none'");
    expect_none(directory, ASM "plain:user::", ERR_RESOURCE_NOT_FOUND, "no JSON object");
    expect_none(directory, ASM "plain::AWSPREVIOUS:", ERR_INVALID_PARAMETER, "AWSCURRENT");
    expect_none(directory, ASM "plain:::0123", ERR_INVALID_PARAMETER, "AWSCURRENT");
    expect_none(directory, ASM "", ERR_INVALID_PARAMETER, "name");
    expect_none(directory, ASM "plain::::", ERR_INVALID_PARAMETER, "name");
    expect_none(directory, "arn:aws:s3:::bucket/key", ERR_INVALID_PARAMETER, "no ARN of");
    expect_none(directory, "", ERR_INVALID_PARAMETER, "name");
    expect_none(directory, "/", ERR_INVALID_PARAMETER, "name");
    CHECK(file_remove_tree(directory, &err));
}

static void
expect_pair(char *data_dir, const char *arn, const char *want_username, const char *want_password)
{
    struct err err = {0};
    cleanup_free char *username = NULL, *password = NULL;

    CHECK(upstream_secret(data_dir, arn, &username, &password, &err));
    CHECK_TEXT(username, want_username);
    CHECK_TEXT(password, want_password);
}

TEST(a_credential_arn_of_aws_finds_its_password)
{
    char data_dir[] = "/tmp/naru-secret-XXXXXX";
    struct err err = {0};
    char *none = NULL;

    CHECK(mkdtemp(data_dir) != NULL);
    cleanup_free char *directory = text_format("%s/secrets", data_dir);
    CHECK_EQ(mkdir(directory, 0700), 0);
    keep(directory, "ecr-pullthroughcache/hub", "{\"kind\":\"password\",\"username\":\"u\",\"password\":\"p\"}");
    keep(directory, "ecr-pullthroughcache/quay", "{\"kind\":\"text\",\"text\":\"{\\\"username\\\":\\\"q\\\",\\\"accessToken\\\":\\\"t\\\"}\"}");
    keep(directory, "ecr-pullthroughcache/word", "{\"kind\":\"text\",\"text\":\"word\"}");

    expect_pair(data_dir, ASM "ecr-pullthroughcache/hub", "u", "p");
    expect_pair(data_dir, ASM "ecr-pullthroughcache/hub-Ab12Cd", "u", "p");
    expect_pair(data_dir, ASM "ecr-pullthroughcache/quay-Ab12Cd", "q", "t");
    CHECK(!upstream_secret(data_dir, ASM "ecr-pullthroughcache/none", &none, &none, &err));
    CHECK_EQ(err.code, ERR_SECRET_NOT_FOUND);
    CHECK(strstr(err.message, "set ecr-pullthroughcache/none'") != NULL && strstr(err.message, "--kind password") != NULL);
    CHECK(!upstream_secret(data_dir, ASM "ecr-pullthroughcache/word", &none, &none, &err));
    CHECK_EQ(err.code, ERR_SECRET_NOT_READ);
    CHECK(none == NULL);
    CHECK(file_remove_tree(data_dir, &err));
}
