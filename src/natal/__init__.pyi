from natal.api import Answer as Answer
from natal.api import TrainedCampaign as TrainedCampaign
from natal.api import load_campaign as load_campaign
from natal.api import load_emulator as load_emulator
from natal.errors import NatalError as NatalError
from natal.settings.cluster import ClusterModel as ClusterModel
from natal.settings.integration import Integration as Integration
from natal.simulation.run import simulate_clusters as simulate_clusters

__version__: str
