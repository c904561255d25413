/*
 * Lets keepalived's checkers run on a kernel without IPVS: answers the IPVS socket options, 1152 to 1167 at level
 * IPPROTO_IP (include/uapi/linux/ip_vs.h), as a kernel with an empty table does. For benchmarks: LD_PRELOAD it. It writes the
 * times at which destinations are deleted, in nanoseconds of the wall clock, to the file in IPVS_SHIM_LOG.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 1152, LAST = 1167, GET_INFO = 1153, DELETE_DESTINATION = 1160 };

static const unsigned version = 1 << 16 | 2 << 8 | 1;

static int is_ipvs(int level, int name)
{
	return level == IPPROTO_IP && name >= FIRST && name <= LAST;
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size)
{
	static int (*next)(int, int, int, void *, socklen_t *);

	if (is_ipvs(level, name)) {
		memset(value, 0, *size);
		if (name == GET_INFO && *size >= sizeof version)
			memcpy(value, &version, sizeof version);
		return 0;
	}
	if (!next)
		next = dlsym(RTLD_NEXT, "getsockopt");
	return next(fd, level, name, value, size);
}

static void record(void)
{
	static int file = -1;
	struct timespec now;
	long long nanoseconds;
	const char *path = getenv("IPVS_SHIM_LOG");

	if (file < 0 && path)
		file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	clock_gettime(CLOCK_REALTIME, &now);
	nanoseconds = now.tv_sec * 1000000000LL + now.tv_nsec;
	if (file >= 0 && write(file, &nanoseconds, sizeof nanoseconds) < 0)
		file = -1;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	static int (*next)(int, int, int, const void *, socklen_t);

	if (is_ipvs(level, name)) {
		if (name == DELETE_DESTINATION)
			record();
		return 0;
	}
	if (!next)
		next = dlsym(RTLD_NEXT, "setsockopt");
	return next(fd, level, name, value, size);
}
