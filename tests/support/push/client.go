// Pushes one metric of each type with Prometheus' client library for Go: client URL VERB FORMAT.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
)

func main() {
	url, verb, format := os.Args[1], os.Args[2], os.Args[3]
	counter := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "go_counter_total", Help: "A \\ and\na line."}, []string{"l"})
	counter.WithLabelValues("a\"b\\c\nd").Add(3)
	counter.WithLabelValues("é").Add(0.25)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_gauge"})
	gauge.Set(-1.5)
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "go_histogram", Buckets: []float64{0.1, 1, 10}})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{
		Name: "go_summary", Objectives: map[float64]float64{0.5: 0.05, 0.99: 0.001}})
	for i := 0; i < 100; i++ {
		histogram.Observe(float64(i) / 7)
		summary.Observe(float64(i))
	}
	pusher := push.New(url, "go job").Grouping("instance", "a/b").Grouping("empty", "")
	if format == "text" {
		pusher = pusher.Format(expfmt.FmtText)
	}
	for _, c := range []prometheus.Collector{counter, gauge, histogram, summary} {
		pusher = pusher.Collector(c)
	}
	var err error
	switch verb {
	case "push":
		err = pusher.Push()
	case "add":
		err = pusher.Add()
	case "delete":
		err = pusher.Delete()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
