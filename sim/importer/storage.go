package importer

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// driverSuffix ends the names of the simulated CSI drivers, which begin with
// their storage class (storage.DriverSuffix).
const driverSuffix = ".csi.simctl.dev"

// The annotations that make a class the default.
var defaultClass = []string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"}

// provisioners are what is known of drivers by their documentation, for what no
// object of a cluster says: the access modes of file systems, and whether a
// volume lives in one zone.
var provisioners = map[string]struct {
	modes    []string
	zonal    bool
	noAttach bool
}{
	"ebs.csi.aws.com":                               {modes: []string{"RWO", "RWOP"}, zonal: true},
	"kubernetes.io/aws-ebs":                         {modes: []string{"RWO", "RWOP"}, zonal: true},
	"disk.csi.azure.com":                            {modes: []string{"RWO", "RWOP"}, zonal: true},
	"pd.csi.storage.gke.io":                         {modes: []string{"RWO", "ROX", "RWOP"}, zonal: true},
	"cinder.csi.openstack.org":                      {modes: []string{"RWO", "RWOP"}, zonal: true},
	"openshift-storage.rbd.csi.ceph.com":            {modes: []string{"RWO", "ROX", "RWOP"}},
	"rbd.csi.ceph.com":                              {modes: []string{"RWO", "ROX", "RWOP"}},
	"efs.csi.aws.com":                               {noAttach: true},
	"nfs.csi.k8s.io":                                {noAttach: true},
	"openshift-storage.cephfs.csi.ceph.com":         {noAttach: true},
	"cephfs.csi.ceph.com":                           {noAttach: true},
	"file.csi.azure.com":                            {noAttach: true},
	"filestore.csi.storage.gke.io":                  {noAttach: true},
	"cluster.local/nfs-subdir-external-provisioner": {noAttach: true},
	"k8s-sigs.io/nfs-subdir-external-provisioner":   {noAttach: true},
	"rancher.io/local-path":                         {noAttach: true},
}

// storage converts storage classes, volumes and claims.
func (c *converter) storage() {
	drivers := map[string]*storagev1.CSIDriver{}
	for _, u := range c.ix["CSIDriver.storage.k8s.io"] {
		var d storagev1.CSIDriver
		if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &d) == nil {
			drivers[d.Name] = &d
		}
	}
	zones := map[string]bool{}
	for _, n := range c.ix["Node."] {
		if z := n.GetLabels()[corev1.LabelTopologyZone]; z != "" {
			zones[z] = true
		}
	}
	used := c.classesInUse()
	var newest *unstructured.Unstructured
	for _, u := range c.ix["StorageClass.storage.k8s.io"] {
		for _, a := range defaultClass {
			// Of several, Kubernetes takes the newest.
			if u.GetAnnotations()[a] == "true" && (newest == nil || newest.GetCreationTimestamp().Time.Before(u.GetCreationTimestamp().Time)) {
				newest = u
			}
		}
	}
	for _, u := range c.ix["StorageClass.storage.k8s.io"] {
		var sc storagev1.StorageClass
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &sc); err != nil {
			c.note("cluster", "storage class %s is left out: %v", u.GetName(), err)
			continue
		}
		out := scenario.StorageClass{Name: sc.Name, Default: u == newest}
		if m := sc.VolumeBindingMode; m != nil && *m != storagev1.VolumeBindingImmediate {
			out.VolumeBindingMode = string(*m)
		}
		known, isKnown := provisioners[sc.Provisioner]
		d := drivers[sc.Provisioner]
		switch {
		case d != nil && d.Spec.AttachRequired != nil:
			out.NoAttach = !*d.Spec.AttachRequired
		case d != nil:
			// The API server sets it to true.
		case known.noAttach, strings.Contains(sc.Provisioner, "nfs"):
			out.NoAttach = true
		case !isKnown && used[sc.Name]:
			c.note("cluster", "storage class %s: no CSIDriver %s was read; it is taken to need an attach", sc.Name, sc.Provisioner)
		}
		if d != nil && d.Spec.FSGroupPolicy != nil && *d.Spec.FSGroupPolicy != storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy {
			out.FSGroupPolicy = string(*d.Spec.FSGroupPolicy)
		}
		if !out.NoAttach {
			out.Zonal = len(zones) > 0 && (known.zonal || c.zonalVolumes(sc.Name) || zonalTopology(&sc))
			out.AccessModes = known.modes
			if len(known.modes) > 0 && used[sc.Name] {
				c.note("cluster", "storage class %s: accessModes are what %s can do with file systems by its documentation; no object of the cluster says it", sc.Name, sc.Provisioner)
			}
		}
		if sc.Provisioner == "kubernetes.io/no-provisioner" && used[sc.Name] {
			c.note("cluster", "storage class %s makes no volumes on the cluster; in the simulation it does", sc.Name)
		}
		c.s.Cluster.StorageClasses = append(c.s.Cluster.StorageClasses, out)
	}
	c.claims()
}

func zonalTopology(sc *storagev1.StorageClass) bool {
	for _, t := range sc.AllowedTopologies {
		for _, e := range t.MatchLabelExpressions {
			if zoneKey(e.Key) {
				return true
			}
		}
	}
	return false
}

// zoneKey says whether a label is for zones, Kubernetes' own or a driver's.
func zoneKey(key string) bool { return strings.HasSuffix(key, "/zone") }

// zonalVolumes says whether volumes of the class are tied to zones.
func (c *converter) zonalVolumes(class string) bool {
	for _, u := range c.ix["PersistentVolume."] {
		if tree.Text(u.Object, "spec", "storageClassName") != class {
			continue
		}
		found := false
		walk(tree.Get(u.Object, "spec", "nodeAffinity"), func(m map[string]any) {
			found = found || zoneKey(tree.Text(m, "key"))
		})
		if found {
			return true
		}
	}
	return false
}

// classesInUse are the classes of claims and of runs' claim templates.
func (c *converter) classesInUse() map[string]bool {
	used := map[string]bool{}
	see := func(v any) {
		walk(v, func(m map[string]any) {
			if name := tree.Text(m, "storageClassName"); name != "" {
				used[name] = true
			}
		})
	}
	for _, u := range c.ix.in("PersistentVolumeClaim.", c.o.Namespace) {
		see(u.Object)
	}
	for _, u := range c.runs {
		see(u.Object)
	}
	for _, u := range c.ix["StorageClass.storage.k8s.io"] {
		if slices.ContainsFunc(defaultClass, func(a string) bool { return u.GetAnnotations()[a] == "true" }) {
			used[u.GetName()] = true
		}
	}
	return used
}

// claims keeps the claims of the namespace and the volumes that they are bound to.
// The claims that Tekton makes for a run are made anew.
func (c *converter) claims() {
	classes := map[string]*scenario.StorageClass{}
	for i := range c.s.Cluster.StorageClasses {
		classes[c.s.Cluster.StorageClasses[i].Name] = &c.s.Cluster.StorageClasses[i]
	}
	made := 0
	var filled []string
	for _, u := range c.ix.in("PersistentVolumeClaim.", c.o.Namespace) {
		if ofRun(u) {
			made++
			continue
		}
		claim := c.keep("storage.yaml", u)
		spec := tree.Map(claim, "spec")
		filled = append(filled, u.GetName())
		volume := tree.Text(spec, "volumeName")
		if volume == "" {
			continue
		}
		pv := c.ix.get("PersistentVolume.", "", volume)
		if pv == nil {
			// It is provisioned anew.
			delete(spec, "volumeName")
			continue
		}
		c.volume(pv, u.GetName(), classes)
	}
	if made > 0 {
		c.note("workload", "%d %s that Tekton made for runs %s left out: it makes them anew", made, plural(made, "claim", "claims"), plural(made, "is", "are"))
	}
	if len(filled) > 0 {
		c.note("workload", "what stands on the claims is not known; write it down, as in  volumes: {%s: {files: 100000, used: 25G}}", filled[0])
	}
}

// ofRun says whether an object was made by Tekton for a run.
func ofRun(u *unstructured.Unstructured) bool {
	for _, o := range u.GetOwnerReferences() {
		if strings.HasPrefix(o.APIVersion, "tekton.dev/") && (o.Kind == "PipelineRun" || o.Kind == "TaskRun") {
			return true
		}
	}
	// Claims of an affinity assistant belong to its StatefulSet.
	return u.GetLabels()[wellknown.ComponentLabel] == wellknown.AffinityAssistant
}

// volume keeps a PersistentVolume, as one of the class's simulated driver.
func (c *converter) volume(u *unstructured.Unstructured, claim string, classes map[string]*scenario.StorageClass) {
	pv := clean(u)
	spec := tree.Map(pv, "spec")
	spec["claimRef"] = map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": c.o.Namespace, "name": claim}
	class := classes[tree.Text(spec, "storageClassName")]
	if class == nil {
		// Its connection is of no use, and may hold addresses and secrets' names.
		class = &scenario.StorageClass{NoAttach: true}
		c.note("workload", "PersistentVolume %s is of no storage class that was read: it is taken to need no attach", u.GetName())
	}
	fsType := tree.Text(spec, "csi", "fsType")
	for k := range spec {
		if !slices.Contains([]string{"accessModes", "capacity", "claimRef", "nodeAffinity", "persistentVolumeReclaimPolicy", "storageClassName", "volumeMode", "mountOptions"}, k) {
			delete(spec, k)
		}
	}
	driver := class.Name
	if driver == "" {
		driver = "unknown"
	}
	csi := map[string]any{"driver": driver + driverSuffix, "volumeHandle": u.GetName()}
	if fsType == "" && !class.NoAttach {
		fsType = "ext4" // what the provisioner of a block device sets
	}
	if fsType != "" {
		csi["fsType"] = fsType
	}
	spec["csi"] = csi
	walk(spec["nodeAffinity"], func(m map[string]any) {
		if tree.Text(m, "key") == corev1.LabelHostname {
			for _, v := range stringsOf(tree.List(m, "values")) {
				c.pinned[v] = true
			}
		}
		if k := tree.Text(m, "key"); k != "" {
			c.selected[k] = true
		}
	})
	c.kept["storage.yaml"] = append(c.kept["storage.yaml"], pv)
}
