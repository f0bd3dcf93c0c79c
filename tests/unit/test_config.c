/* SPDX-License-Identifier: MIT */
/* What a data directory keeps of the machine and of the installation from its first start on. */
#include "daemon/config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "daemon/tools.h"
#include "io/file.h"
#include "io/http_server.h"
#include "name_space.h"

static void
make_directory(struct config *c)
{
    char path[] = "/tmp/naru-test-config.XXXXXX";

    memset(c, 0, sizeof(*c));
    CHECK(mkdtemp(path) != NULL);
    (void)text_copy(c->data_dir, sizeof(c->data_dir), str_of(path));
}

static void
write_file(const struct config *c, const char *name, const char *text)
{
    char path[600];
    struct err err = {0};

    snprintf(path, sizeof(path), "%s/%s", c->data_dir, name);
    CHECK(file_write_atomic(path, str_of(text), 0600, &err));
}

static void
check_file(const struct config *c, const char *name, const char *want)
{
    char path[600];
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err = {0};

    snprintf(path, sizeof(path), "%s/%s", c->data_dir, name);
    CHECK(file_read(path, 1000, &text, &err));
    CHECK_TEXT(strbuf_cstr(&text), want);
}

static void
check_refused(struct config *c, const char *part)
{
    struct err err = {0};

    CHECK(!config_open_data(c, &err));
    if (strstr(err.message, part) == NULL)
        check_fail(__FILE__, __LINE__, "'%s' is not in '%s'", part, err.message);
    CHECK(file_remove_tree(c->data_dir, &err));
}

TEST(the_first_start_makes_what_the_next_ones_read)
{
    struct config c;
    struct err err = {0};
    char name[64] = "";

    make_directory(&c);
    CHECK(config_open_data(&c, &err));
    CHECK_EQ(gethostname(name, sizeof(name) - 1), 0);
    CHECK_TEXT(c.host, name);
    check_file(&c, "host", name);
    CHECK_EQ(strlen(c.installation), 16);
    check_file(&c, "installation", c.installation);
    CHECK(file_remove_tree(c.data_dir, &err));
}

static void
check_place(const char *data_dir, const char *account, const char *region)
{
    char program[] = "server", option[] = "--data-dir", directory[512];
    char *argv[] = {program, option, directory, NULL};
    struct err err = {0};
    struct config c;

    CHECK(text_copy(directory, sizeof(directory), str_of(data_dir)));
    CHECK(config_parse(&c, 3, argv, &err));
    CHECK_TEXT(c.account, account);
    CHECK_TEXT(c.region, region);
    CHECK(config_open_data(&c, &err));
}

/* It is held until the process ends, as that of a server. */
static void
forget_lock(const struct config *c)
{
    cleanup_free char *path = text_format("%s/lock", c->data_dir);

    CHECK_EQ(unlink(path), 0);
}

/* A start that forgets to say them would find none of its services. */
TEST(account_and_region_are_those_of_the_last_start)
{
    const char *const variables[] = {"NARU_ACCOUNT_ID", "NARU_REGION"};
    struct config c;

    for (size_t i = 0; i < ARRAY_COUNT(variables); i++)
        unsetenv(variables[i]);
    make_directory(&c);
    check_place(c.data_dir, "000000000000", "ap-northeast-2");
    CHECK(file_remove_tree(c.data_dir, NULL));
    setenv("NARU_ACCOUNT_ID", "123456789012", 1);
    setenv("NARU_REGION", "eu-west-1", 1);
    check_place(c.data_dir, "123456789012", "eu-west-1");
    for (size_t i = 0; i < ARRAY_COUNT(variables); i++)
        unsetenv(variables[i]);
    forget_lock(&c);
    check_place(c.data_dir, "123456789012", "eu-west-1");
    forget_lock(&c);
    setenv("NARU_REGION", "us-east-1", 1);
    check_place(c.data_dir, "123456789012", "us-east-1");
    unsetenv("NARU_REGION");
    write_file(&c, "credentials.json", "{");
    forget_lock(&c);
    check_refused(&c, "credentials.json");
}

/* Its services would be nowhere, and their containers nobody's. */
TEST(another_account_than_that_of_the_installation_is_refused)
{
    struct config c;
    struct err err = {0};

    unsetenv("NARU_ACCOUNT_ID");
    make_directory(&c);
    check_place(c.data_dir, "000000000000", "ap-northeast-2");
    forget_lock(&c);
    text_copy_all(c.account, sizeof(c.account), "123456789012");
    CHECK(!config_open_data(&c, &err));
    CHECK_EQ(err.code, ERR_USAGE);
    CHECK(strstr(err.message, "belongs to account 000000000000, and NARU_ACCOUNT_ID is 123456789012") != NULL);
    forget_lock(&c);
    check_place(c.data_dir, "000000000000", "ap-northeast-2"); /* nothing was changed */
    CHECK(file_remove_tree(c.data_dir, &err));
}

TEST(a_machine_that_was_renamed_keeps_the_name_of_its_instances)
{
    struct config c;
    struct err err = {0};

    make_directory(&c);
    write_file(&c, "host", "as-it-was\n");
    write_file(&c, "installation", "0123456789abcdef\n");
    CHECK(config_open_data(&c, &err));
    CHECK_TEXT(c.host, "as-it-was");
    CHECK_TEXT(c.installation, "0123456789abcdef");
    check_file(&c, "host", "as-it-was\n");
    CHECK(file_remove_tree(c.data_dir, &err));
}

TEST(words_that_are_none_are_refused_by_file)
{
    struct config c;
    char long_name[80];

    make_directory(&c);
    write_file(&c, "host", "\n");
    check_refused(&c, "/host' does not hold a word of at most 63 bytes");
    make_directory(&c);
    memset(long_name, 'x', sizeof(long_name));
    long_name[64] = '\0';
    write_file(&c, "host", long_name);
    check_refused(&c, "/host' does not hold a word");
    make_directory(&c);
    write_file(&c, "installation", "0123456789abcdeg");
    check_refused(&c, "/installation' does not hold 16 hex digits");
}

static int64_t
quota_of(const char *text, struct err *err)
{
    char option[] = "--registry-quota";
    char value[32];
    char *arguments[] = {"server", option, value};
    struct config c;

    snprintf(value, sizeof(value), "%s", text);
    *err = (struct err){0};
    return config_parse(&c, 3, arguments, err) ? c.registry_quota : -1;
}

TEST(a_data_directory_is_found_from_everywhere)
{
    char *relative[] = {"server", "--data-dir", "a/b"}, *none[] = {"server", "--data-dir", ""};
    char here[400], want[420];
    struct config c;
    struct err err;

    CHECK(getcwd(here, sizeof(here)) != NULL);
    snprintf(want, sizeof(want), "%s/a/b", here);
    CHECK(config_parse(&c, 3, relative, &err));
    CHECK_TEXT(c.data_dir, want);
    snprintf(want, sizeof(want), "%s/a/b/hooks", here);
    CHECK_TEXT(c.hooks_dir, want);
    CHECK(!config_parse(&c, 3, none, &err));
    CHECK_EQ(err.code, ERR_USAGE);
}

TEST(images_are_fetched_before_they_are_deployed_or_not)
{
    char *none[] = {"server"}, *off[] = {"server", "--prefetch=off"}, *what[] = {"server", "--prefetch", "later"};
    struct config c;
    struct err err;

    CHECK(config_parse(&c, 1, none, &err));
    CHECK_TEXT(c.prefetch, "on");
    CHECK(config_parse(&c, 2, off, &err));
    CHECK_TEXT(c.prefetch, "off");
    CHECK(!config_parse(&c, 3, what, &err));
    CHECK_EQ(err.code, ERR_USAGE);
}

TEST(what_clients_may_take_is_read)
{
    char *none[] = {"server"};
    char *given[] = {"server", "--connections-per-address=0", "--body-memory", "8M", "--trusted-addresses=",
                     "--proxies", "10.0.0.5"};
    static char *const wrong[] = {"--connections-per-address=1025", "--connections-per-address=-1",
                                  "--connections-per-address=many", "--body-memory=7M", "--body-memory=8MB"};
    struct config c;
    struct err err;

    CHECK(config_parse(&c, 1, none, &err)); /* as the server's own, which other doors have */
    CHECK_EQ(c.per_address, HTTP_PER_ADDRESS);
    CHECK_EQ(c.body_bytes, HTTP_BODY_BYTES);
    CHECK_TEXT(c.trusted_addresses, HTTP_TRUSTED);
    CHECK(config_parse(&c, ARRAY_COUNT(given), given, &err));
    CHECK_EQ(c.per_address, 0);
    CHECK_EQ(c.body_bytes, 8 << 20);
    CHECK_TEXT(c.trusted_addresses, "");
    CHECK_TEXT(c.proxies, "10.0.0.5");
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        char *argv[] = {"server", wrong[i]};
        CHECK(!config_parse(&c, 2, argv, &err));
        CHECK_EQ(err.code, ERR_USAGE);
    }
}

TEST(the_quota_of_the_registry_is_a_size)
{
    struct err err;

    CHECK_EQ(quota_of("0", &err), 0);
    CHECK_EQ(quota_of("12345", &err), 12345);
    CHECK_EQ(quota_of("50G", &err), 50LL << 30);
    CHECK_EQ(quota_of("1T", &err), 1LL << 40);
    static const char *const wrong[] = {"G", "-1", "5g", "5GG", "9999999999T", "", "1.5G"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_EQ(quota_of(wrong[i], &err), -1);
        CHECK_EQ(err.code, ERR_USAGE);
    }
}

static struct config within_config;

static int
link_tools(void)
{
    struct err err;

    return tools_link(within_config.data_dir, &err) ? 0 : 1;
}

/* In a container, say: naru starts there, too. */
TEST(tools_are_linked_where_builds_can_have_no_users)
{
    cleanup_free char *bin = NULL;

    if (geteuid() != 0) {
        check_skip("not root");
        return;
    }
    make_directory(&within_config);
    bin = text_format("%s/bin", within_config.data_dir);
    CHECK(file_make_dirs(bin, 0755, NULL));
    CHECK_EQ(within(65536, link_tools), 0);
    CHECK(file_remove_tree(within_config.data_dir, NULL));
}

struct step {
    const char *tool;
    atomic_bool is_over;
    int missed;
};

static void *
look_all_along(void *arg)
{
    struct step *s = arg;

    while (!atomic_load(&s->is_over))
        s->missed += access(s->tool, F_OK) != 0;
    return NULL;
}

TEST(tools_are_there_while_naru_is_started_again)
{
    cleanup_free char *bin = NULL, *tool = NULL;
    struct step step = {0};
    struct config c;
    pthread_t thread;
    struct err err;

    make_directory(&c);
    bin = text_format("%s/bin", c.data_dir);
    tool = text_format("%s/docker", bin);
    step.tool = tool;
    CHECK(file_make_dirs(bin, 0755, NULL) && tools_link(c.data_dir, &err));
    CHECK(pthread_create(&thread, NULL, look_all_along, &step) == 0);
    for (int i = 0; i < 50; i++)
        CHECK(tools_link(c.data_dir, &err));
    atomic_store(&step.is_over, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(step.missed, 0);
    CHECK(file_remove_tree(c.data_dir, NULL));
}
