/* SPDX-License-Identifier: MIT */
/* job_properties.h - what a Jenkinsfile says about when its builds run and how long they are kept:
 * options and triggers of the declarative form, properties([...]) of the scripted one.  They hold from
 * the first build on that says so, for its branch:
 *   {"triggers": [{"kind": "cron" | "pollSCM", "spec"}, {"kind": "upstream", "projects", "threshold"}],
 *    "abortPrevious": true, "quietPeriod": seconds, "rateLimitMs": ms between builds,
 *    "numToKeep", "daysToKeep", "artifactNumToKeep", "artifactDaysToKeep"} */
#pragma once
#include "base/json.h"
#include "pipeline/run/run.h"

/* From the sections of a declarative pipeline; tells those around the build. */
bool job_properties_declarative(struct run *run, const struct stage *pipeline) MUST_CHECK;
/* From a list of what calls such as cron('...') give as values. */
bool job_properties_list(struct run *run, const struct node *at, const struct list *l) MUST_CHECK;
