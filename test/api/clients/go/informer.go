// A shared informer of client-go on the ConfigMaps of a namespace, with a short resync, that tells what it is told: one
// JSON line an event on standard output. Objects travel as protobuf. With "write" as its first argument it makes,
// changes and deletes ConfigMaps instead, through the same client, and tells what was acknowledged.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

var lock sync.Mutex

type line struct {
	Event   string `json:"event"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Old     string `json:"old,omitempty"`
	Value   string `json:"value,omitempty"`
	Error   string `json:"error,omitempty"`
}

func tell(what line) {
	lock.Lock()
	defer lock.Unlock()
	bytes, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(bytes))
}

func client(server, folder string) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	return rest.RESTClientFor(&rest.Config{
		Host:    server,
		APIPath: "/api",
		QPS:     -1,
		TLSClientConfig: rest.TLSClientConfig{
			CAFile: folder + "/ca.crt", CertFile: folder + "/client.crt", KeyFile: folder + "/client.key",
		},
		ContentConfig: rest.ContentConfig{
			GroupVersion:         &corev1.SchemeGroupVersion,
			NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
			ContentType:          "application/vnd.kubernetes.protobuf",
			AcceptContentTypes:   "application/vnd.kubernetes.protobuf,application/json",
		},
	})
}

func told(event string, object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if of, ok := object.(*corev1.ConfigMap); ok {
		tell(line{Event: event, Name: of.Name, Version: of.ResourceVersion, Value: of.Data["n"]})
	}
}

func inform(ctx context.Context, api *rest.RESTClient, namespace string, resync time.Duration) {
	watched := cache.NewListWatchFromClient(api, "configmaps", namespace, fields.Everything())
	informer := cache.NewSharedIndexInformer(watched, &corev1.ConfigMap{}, resync, cache.Indexers{})
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { told("add", object) },
		UpdateFunc: func(old, object any) {
			before, after := old.(*corev1.ConfigMap), object.(*corev1.ConfigMap)
			event := "update"
			if before.ResourceVersion == after.ResourceVersion {
				event = "resync"
			}
			tell(line{Event: event, Name: after.Name, Version: after.ResourceVersion, Old: before.ResourceVersion, Value: after.Data["n"]})
		},
		DeleteFunc: func(object any) { told("delete", object) },
	})
	if err != nil {
		panic(err)
	}
	go informer.Run(ctx.Done())
	if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		tell(line{Event: "synced"})
	}
	<-ctx.Done()
	for _, object := range informer.GetStore().List() {
		told("held", object)
	}
}

// Writes until it is told to stop. Whatever is not acknowledged is tried again: the server may be away.
func write(ctx context.Context, api *rest.RESTClient, namespace string) {
	for n := 0; ctx.Err() == nil; n++ {
		name := "written-" + strconv.Itoa(n%5)
		value := strconv.Itoa(n)
		map1 := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
			Data:       map[string]string{"n": value},
		}
		place := func(request *rest.Request) *rest.Request { return request.Namespace(namespace).Resource("configmaps") }
		var answer corev1.ConfigMap
		var err error
		switch {
		case n%17 == 16:
			err = place(api.Delete()).Name(name).Do(ctx).Error()
			value = "deleted"
		default:
			err = place(api.Put()).Name(name).Body(map1).Do(ctx).Into(&answer)
			if err != nil {
				err = place(api.Post()).Body(map1).Do(ctx).Into(&answer)
			}
		}
		if err != nil {
			tell(line{Event: "failed", Name: name, Error: err.Error()})
			time.Sleep(20 * time.Millisecond)
			continue
		}
		tell(line{Event: "wrote", Name: name, Version: answer.ResourceVersion, Value: value})
	}
}

func main() {
	server := flag.String("server", "", "URL of the API server")
	folder := flag.String("credentials", "", "folder with ca.crt, client.crt and client.key")
	namespace := flag.String("namespace", "default", "whose ConfigMaps")
	resync := flag.Duration("resync", time.Second, "how often everything is told again")
	flag.Parse()
	api, err := client(*server, *folder)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if flag.Arg(0) == "write" {
		write(ctx, api, *namespace)
	} else {
		inform(ctx, api, *namespace, *resync)
	}
}
