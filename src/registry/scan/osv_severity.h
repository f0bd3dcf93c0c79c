/* SPDX-License-Identifier: MIT */
/* osv_severity.h - how bad a vulnerability is: CVSS vectors to scores, scores and words to ECR's
 * severities. Pure; takes bytes from outside. */
#pragma once
#include "base/json.h"
#include "base/str.h"

/* In the order of how bad they are; the names are ECR's. */
enum osv_severity {
    SEVERITY_UNDEFINED,
    SEVERITY_INFORMATIONAL,
    SEVERITY_LOW,
    SEVERITY_MEDIUM,
    SEVERITY_HIGH,
    SEVERITY_CRITICAL,
};
#define SEVERITY_COUNT 6
const char *severity_name(enum osv_severity severity);

/* The base score of "CVSS:3.0/..." and "CVSS:3.1/..."; false if a base metric is missing, given
 * twice or unknown. */
bool cvss3_base_score(struct str vector, double *score_out);
/* Of "AV:N/AC:L/Au:N/C:N/I:N/A:C" (CVSS 2). */
bool cvss2_base_score(struct str vector, double *score_out);

/* Of "CVSS:4.0/AV:N/...", with the threat and environmental metrics that it has; supplemental ones
 * say nothing about it. */
bool cvss4_score(struct str vector, double *score_out);

struct osv_rating {
    enum osv_severity severity;
    double score;     /* 0: none computed */
    char vector[192]; /* "CVSS:3.1/AV:N/..." or "" */
};
/* Of one OSV record: CVSS 3 before CVSS 4 before CVSS 2 before what the distribution says in words.
 * ECR's findings and everybody's thresholds are of CVSS 3, so that comes first. */
void osv_rate(const struct json *record, struct osv_rating *out);
