/* In which order things are done. Streams do their work at once, or (late) only when something
 * waits for it, the newest stream first: the two ends of what a card may do. A graph is a list of
 * the same pieces of work. */
#include "runtime.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <memory>
#include <vector>

struct CUgraph_st {
    std::vector<std::function<void()>> work;
};

struct CUgraphExec_st {
    CUgraph_st graph;
};

struct CUstream_st {
    std::deque<std::function<void()>> queue;
    size_t queued, done;
    bool waits_for_default; /* and the default stream for it */
    CUgraph_st *captured;   /* NULL: works */
    bool is_capture_broken;
};

struct CUevent_st {
    CUstream_st *stream; /* NULL: never recorded */
    size_t position;
    std::shared_ptr<double> time;
};

namespace on_cpu {

static CUstream_st default_stream;
static std::vector<CUstream_st *> streams;

static bool is_late() {
    static const char *const mode = getenv("CUDA_ON_CPU_STREAMS");
    return mode != nullptr && strcmp(mode, "late") == 0;
}

static CUstream_st *stream_of(cudaStream_t stream) {
    return stream == nullptr || stream == cudaStreamLegacy ? &default_stream : stream;
}

bool is_capturing(cudaStream_t stream) {
    return stream_of(stream)->captured != nullptr;
}

bool is_any_capturing() {
    return std::any_of(streams.begin(), streams.end(),
                       [](CUstream_st *stream) { return stream->captured != nullptr; });
}

static void do_until(CUstream_st *stream, size_t position) {
    while (stream->done < position && !stream->queue.empty()) {
        auto work = std::move(stream->queue.front());
        stream->queue.pop_front();
        work();
        stream->done++;
    }
}

void finish(cudaStream_t stream) {
    do_until(stream_of(stream), stream_of(stream)->queued);
}

static void finish_those(bool all) {
    for (auto stream = streams.rbegin(); stream != streams.rend(); ++stream)
        if (all || (*stream)->waits_for_default)
            finish(*stream);
}

void finish_all() {
    finish_those(true);
}

/* Something that a capture forbids: its end will say so. */
static cudaError_t break_captures() {
    for (CUstream_st *stream : streams)
        stream->is_capture_broken = stream->captured != nullptr;
    return failed(cudaErrorStreamCaptureUnsupported);
}

cudaError_t enqueue(cudaStream_t to, std::function<void()> work) {
    CUstream_st *stream = stream_of(to);
    auto with_memory = [work = std::move(work)] {
        open_memory();
        work();
        close_memory();
    };
    if (stream->captured) {
        stream->captured->work.push_back(std::move(with_memory));
    } else if (stream == &default_stream) {
        if (is_any_capturing())
            return break_captures();
        finish_those(false);
        with_memory();
    } else if (is_late()) {
        stream->queue.push_back(std::move(with_memory));
        stream->queued++;
    } else {
        with_memory();
    }
    return cudaSuccess;
}

static double milliseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

} // namespace on_cpu

using namespace on_cpu;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    *stream = nullptr;
    if (is_refused())
        return failed(cudaErrorMemoryAllocation);
    *stream = new CUstream_st();
    count_alive(1);
    (*stream)->waits_for_default = !(flags & cudaStreamNonBlocking);
    streams.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    finish(stream);
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    cudaGraphDestroy(stream->captured);
    delete stream;
    count_alive(-1);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (is_capturing(stream))
        return break_captures();
    finish(stream);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) {
    if (is_any_capturing())
        return break_captures();
    finish_all();
    return cudaSuccess;
}

/* ------------------------------------------------------------------ events */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    *event = nullptr;
    if (is_refused())
        return failed(cudaErrorMemoryAllocation);
    *event = new CUevent_st();
    count_alive(1);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    count_alive(-1);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    auto time = std::make_shared<double>(0);
    cudaError_t error = enqueue(stream, [time] { *time = milliseconds(); });
    event->stream = stream_of(stream);
    event->position = event->stream->queued;
    event->time = time;
    return error;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (event->stream)
        do_until(event->stream, event->position);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *elapsed, cudaEvent_t from, cudaEvent_t to) {
    if (!from->stream || !to->stream)
        return failed(cudaErrorInvalidResourceHandle);
    *elapsed = (float)(*to->time - *from->time);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    CUstream_st *other = event->stream;
    size_t position = event->position;
    if (other == nullptr)
        return cudaSuccess;
    return enqueue(stream, [=] { do_until(other, position); });
}

/* ------------------------------------------------------------------ graphs */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream_of(stream) == &default_stream || stream->captured)
        return failed(cudaErrorStreamCaptureUnsupported);
    if (is_refused())
        return failed(cudaErrorMemoryAllocation);
    stream->captured = new CUgraph_st();
    count_alive(1);
    stream->is_capture_broken = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    *graph = nullptr;
    if (!is_capturing(stream))
        return failed(cudaErrorIllegalState);
    std::swap(*graph, stream->captured);
    if (!stream->is_capture_broken)
        return cudaSuccess;
    cudaGraphDestroy(*graph);
    *graph = nullptr;
    return failed(cudaErrorStreamCaptureInvalidated);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph,
                                 unsigned long long) {
    *executable = nullptr;
    if (is_refused())
        return failed(cudaErrorMemoryAllocation);
    *executable = new CUgraphExec_st{*graph};
    count_alive(1);
    return cudaSuccess;
}

/* The work is copied: the graph may be destroyed before a late stream comes to it. */
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    for (const auto &work : executable->graph.work) {
        cudaError_t error = enqueue(stream, work);
        if (error != cudaSuccess)
            return error;
    }
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    if (graph != nullptr)
        count_alive(-1);
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    count_alive(-1);
    return cudaSuccess;
}
}
