/* SPDX-License-Identifier: MIT */
/* osv_version.h - which of two versions is the older one, by the rules of who made them.
 * Pure; any bytes are versions, and each comparison is a total preorder over all of them (what the
 * ecosystem itself would refuse is ordered by its bytes, below what it accepts, where that
 * matters). Numbers have as many digits as they like. Results: negative, 0, positive, as strcmp().
 */
#pragma once
#include "base/str.h"

typedef int version_compare(struct str a, struct str b);

version_compare dpkg_version_compare;     /* epoch:upstream-revision, '~' before the end */
version_compare apk_version_compare;      /* 1.2.3b_rc1-r4 */
version_compare rpm_version_compare;      /* epoch:version-release, '~' before, '^' after the end */
version_compare semver_version_compare;   /* npm, crates.io, Go: a leading 'v' is no part of it */
version_compare nuget_version_compare;    /* four numbers, and semver's labels in any case */
version_compare pep440_version_compare;   /* PyPI */
version_compare maven_version_compare;    /* Maven's "version order specification" */
version_compare gem_version_compare;      /* RubyGems */
version_compare composer_version_compare; /* Packagist */
version_compare numbers_version_compare;  /* Hackage, CRAN: numbers between '.' and '-', the shorter one first */

/* The comparison of an OSV ecosystem ("Debian:12", "npm"); NULL: none that is known here. */
version_compare *version_compare_of(struct str ecosystem);

/* ---- for the two files of them ---- */
/* Two runs of decimal digits as numbers; the empty one is 0. */
int digits_compare(struct str a, struct str b);
/* Takes the digits (or what is no digit) off the front of `*rest`. */
struct str digits_cut(struct str *rest);
static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
