/**
 * @file mproxy/mproxy.h
 * All of the library's headers, for a program that does not mind which.
 */
#ifndef MPROXY_MPROXY_H
#define MPROXY_MPROXY_H

#include <mproxy/base.h>
#include <mproxy/client.h>
#include <mproxy/daemon.h>
#include <mproxy/exposition.h>
#include <mproxy/gateway.h>
#include <mproxy/http.h>
#include <mproxy/job.h>
#include <mproxy/launch.h>
#include <mproxy/ledger.h>
#include <mproxy/loop.h>
#include <mproxy/metric.h>
#include <mproxy/processes.h>
#include <mproxy/profile.h>
#include <mproxy/reduction.h>
#include <mproxy/remote.h>
#include <mproxy/round.h>
#include <mproxy/scrape.h>
#include <mproxy/self.h>
#include <mproxy/serve.h>
#include <mproxy/source.h>
#include <mproxy/store.h>
#include <mproxy/system.h>

#endif
