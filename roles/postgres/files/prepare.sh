# Prevent the package from creating and starting its own cluster.
install -d /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/mirrorfleet.conf
