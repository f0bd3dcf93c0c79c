/* SPDX-License-Identifier: MIT */
/* Versions and records of vulnerabilities. The first byte chooses the ecosystem; the rest is three
 * versions, a line each, and behind them a record. */
#include <assert.h>

#include "registry/scan/osv.h"
#include "registry/scan/osv_version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
sign(int n)
{
    return (n > 0) - (n < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ecosystems[] = {"Debian:12", "Alpine:v3.18", "Rocky Linux:9",
                                             "npm",       "PyPI",         "Maven",
                                             "RubyGems",  "Packagist",    "NuGet"};
    struct str versions[3] = {{0}};
    struct osv_rating rating;
    struct str fixed;

    if (size == 0)
        return 0;
    const struct str ecosystem = str_of(ecosystems[data[0] % ARRAY_COUNT(ecosystems)]);
    version_compare *compare = version_compare_of(ecosystem);
    struct str rest = {(const char *)data + 1, size - 1};
    for (int i = 0; i < 3 && rest.len > 0; i++)
        (void)str_split(&rest, '\n', &versions[i]);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            assert(i != k || compare(versions[i], versions[k]) == 0);
            assert(sign(compare(versions[i], versions[k])) ==
                   -sign(compare(versions[k], versions[i])));
        }
    cleanup_json struct json *record = json_parse(rest, NULL);
    osv_rate(record, &rating);
    assert(rating.score >= 0 && rating.score <= 10 && rating.severity < SEVERITY_COUNT);
    if (osv_is_affected(json_at(json_get(record, "affected"), 0), ecosystem, versions[0], &fixed) &&
        fixed.len > 0)
        assert(compare(versions[0], fixed) < 0);
    return 0;
}
