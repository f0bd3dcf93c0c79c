/* SPDX-License-Identifier: MIT */
/* URLs, ranges, Accept lists and image names of the registry. The first byte says what the rest is.
 * What is taken must be what the file system and the wire can carry: a repository's name never
 * leaves its directory. */
#include <assert.h>
#include <stdio.h>

#include "registry/internal.h"
#include "registry/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(struct str name)
{
    assert(name.len >= 2 && name.len <= 256 && name.at[0] != '/' && name.at[name.len - 1] != '/');
    for (size_t i = 0; i + 1 < name.len; i++) {
        assert(!(name.at[i] == '.' && name.at[i + 1] == '.'));
        assert(!(name.at[i] == '/' &&
                 (name.at[i + 1] == '_' || name.at[i + 1] == '.' || name.at[i + 1] == '/')));
    }
}

static void
check_path(const struct registry *reg, struct str text)
{
    struct route_path route;
    struct str region, repository;

    if (!route_path_parse(text, &route) || route.kind == ROUTE_BASE || route.kind == ROUTE_CATALOG)
        return;
    assert(route.name.len > 0 && route.name.at >= text.at &&
           route.name.at + route.name.len <= text.at + text.len);
    assert(route.argument.len == 0 || str_index(route.argument, '/') < 0);
    if (registry_name_split(reg, route.name, &region, &repository)) {
        check_name(repository);
        assert(region_is_valid(region));
    }
    if (tag_is_valid(route.argument))
        assert(route.argument.len <= 128 && route.argument.at[0] != '.' &&
               str_index(route.argument, '/') < 0);
}

static void
check_range(struct str text)
{
    const int64_t sizes[] = {0, 1, 10, 1LL << 40};

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        int64_t first = -1, count = -1;
        if (range_parse(text, sizes[i], &first, &count) == RANGE_PART)
            assert(first >= 0 && count > 0 && first + count <= sizes[i]);
    }
    int64_t first, last;
    if (content_range_parse(text, &first, &last))
        assert(first >= 0 && last >= first);
    (void)accept_matches(text, STR("application/vnd.oci.image.manifest.v1+json"));
}

static void
check_image(const struct registry *reg, struct str text)
{
    struct registry_image image, again;
    char printed[REGISTRY_IMAGE_SIZE];

    if (!registry_parse_image(reg, text, &image))
        return;
    check_name(str_of(image.repository));
    assert(region_is_valid(str_of(image.region)));
    assert(image.tag[0] != '\0' || image.digest[0] != '\0');
    assert(image.tag[0] == '\0' || tag_is_valid(str_of(image.tag)));
    assert(image.digest[0] == '\0' || digest_is_valid(str_of(image.digest)));
    registry_repository_uri(reg, image.region, image.repository, printed);
    assert(registry_parse_image(reg, str_of(printed), &again));
    assert(strcmp(image.repository, again.repository) == 0 &&
           strcmp(image.region, again.region) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct registry reg = {
        .account_id = "000000000000", .default_region = "ap-northeast-2", .host = "localhost:4566"};
    if (size == 0)
        return 0;
    struct str text = {(const char *)data + 1, size - 1};
    switch (data[0]) {
    case 'p':
        check_path(&reg, text);
        break;
    case 'r':
        check_range(text);
        break;
    default:
        check_image(&reg, text);
        break;
    }
    return 0;
}
